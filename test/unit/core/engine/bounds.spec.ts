import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

describe('bounds of what a client can make grow', () => {
  it('closes a client that sends commands and does not read, when its connection lane is full (G13)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')], {
      settings: { outbox: { maxMessages: 100 }, limits: { ratePerSecond: 10_000, burst: 10_000 } },
    });
    const client = await harness.greet('user:ada');
    client.stall();
    for (let index = 0; index < 50; index++) client.send({ type: 'ping', id: `p${index}` });
    await quiet();
    expect(client.closed).toBeUndefined();
    for (let index = 0; index < 200; index++) client.send({ type: 'ping', id: `q${index}` });
    await quiet();
    expect(client.closed).toEqual({ code: 4003, reason: 'slow_consumer|0' });
  });

  it('does not close a client that sends many commands in one turn and reads (G13)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')], {
      settings: { outbox: { maxMessages: 100 }, limits: { ratePerSecond: 10_000, burst: 10_000 } },
    });
    const client = await harness.greet('user:ada');
    client.take();
    for (let index = 0; index < 250; index++) client.send({ type: 'ping', id: `p${index}` });
    await quiet();
    expect(client.closed).toBeUndefined();
    expect(client.take('pong')).toHaveLength(250);
  });

  it('bounds the channels that a session passes from generation to generation (P28)', async () => {
    const ended: string[] = [];
    harness = await EngineHarness.start(
      [channel('rooms.:room', { behaviour: { onUnsubscribe: (call) => void ended.push(call.channel) } })],
      { settings: { limits: { maxChannels: 2 } } },
    );
    let ticket: string | undefined;
    for (let generation = 0; generation < 4; generation++) {
      const client = await harness.greet('user:ada', ticket);
      ticket = (client.received.find(({ type }) => type === 'welcome')?.payload as { session: string })
        .session;
      for (const name of ['a', 'b'])
        client.send({ type: 'subscribe', id: name, channel: `rooms.${generation}${name}` });
      await quiet();
    }
    // Those of the third may still be taken up again; nobody came back for the older ones.
    expect(ended).toEqual(['rooms.0a', 'rooms.0b', 'rooms.1a', 'rooms.1b']);
  });
});

describe('channels that a newer generation does not subscribe again', () => {
  it.each(['unsubscribe', 'wait'])(
    'channels that are not subscribed again end while the newer generation is connected: %s (P28)',
    async (way) => {
      const ended: string[] = [];
      harness = await EngineHarness.start(
        [channel('rooms.:room', { behaviour: { onUnsubscribe: (call) => void ended.push(call.channel) } })],
        { settings: { retry: { stableMs: 1_000 } } },
      );
      const older = await harness.greet('user:ada');
      for (const name of ['a', 'b']) older.send({ type: 'subscribe', id: name, channel: `rooms.${name}` });
      await quiet();
      const { session } = older.received.find(({ type }) => type === 'welcome')?.payload as {
        session: string;
      };
      const newer = await harness.greet('user:ada', session);
      newer.send({ type: 'subscribe', id: 'a', channel: 'rooms.a' });
      if (way === 'unsubscribe') newer.send({ type: 'unsubscribe', id: 'u', channel: 'rooms.b' });
      else harness.clock.advance(1_500);
      await quiet();
      expect(ended).toEqual(['rooms.b']);
      newer.drop();
      await quiet();
      expect(ended).toEqual(['rooms.b', 'rooms.a']);
    },
  );
});

describe('a history with many expired events', () => {
  it.each([false, true])(
    'a page of history contains the next unexpired events, however many have expired (reverse: %s) (G3)',
    async (reverse) => {
      harness = await EngineHarness.start([channel('rooms.:room')]);
      const { engine, clock } = harness;
      await engine.application.publish('rooms.1', 'said', 'first', { meta: { page: 1 } });
      for (let index = 0; index < 20; index++)
        await engine.application.publish('rooms.1', 'said', index, { ttl: 10 });
      await engine.application.publish('rooms.1', 'said', 'last');
      clock.advance(1_000);
      const seqs = reverse ? [22, 1] : [1, 22];
      expect(await engine.application.history('rooms.1', { limit: 1, reverse })).toMatchObject({
        events: [{ seq: seqs[0] }],
        more: true,
      });
      const all = await engine.application.history('rooms.1', { limit: 5, reverse });
      expect([all.events.map(({ seq }) => seq), all.more]).toEqual([seqs, false]);
      expect(all.events.find(({ seq }) => seq === 1)?.meta).toEqual({ page: 1 });
    },
  );
});

describe('an error of the application', () => {
  it('an error that cannot be serialized is answered as internal (G25)', async () => {
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    harness = await EngineHarness.start([channel('rooms.:room')], {
      requests: new Map([
        [
          'fail',
          {
            authorize: 'public',
            handle: async () => {
              throw new RealtimeError('validation_failed', undefined, { details: [circular as never] });
            },
          },
        ],
      ]),
    });
    const client = await harness.greet('user:ada');
    client.take();
    client.send({ type: 'request', id: 'r', event: 'fail' });
    await quiet();
    expect(client.take('error')).toMatchObject([{ ref: 'r', payload: { code: 'internal' } }]);
    expect(harness.errors).toHaveLength(1);
  });
});

describe('an engine whose start fails', () => {
  it('an engine whose start fails closes the broker when it is stopped (G18)', async () => {
    const broker = memoryBroker();
    let closed = 0;
    broker.start = () => Promise.reject(new Error('half-way'));
    broker.close = async () => void closed++;
    harness = new EngineHarness([channel('rooms.:room')], { broker });
    await expect(harness.engine.start()).rejects.toThrow('half-way');
    await harness.engine.stop();
    expect(closed).toBe(1);
  });

  it('an engine whose start ends after the stop leaves no timer (G18)', async () => {
    const broker = memoryBroker();
    let go!: () => void;
    broker.start = () => new Promise<void>((resolve) => (go = resolve));
    harness = new EngineHarness([channel('rooms.:room')], { broker });
    const starting = harness.engine.start();
    await harness.engine.stop();
    go();
    await starting;
    expect(harness.clock.pending).toBe(0);
    expect(harness.engine.status.started).toBe(false);
  });
});
