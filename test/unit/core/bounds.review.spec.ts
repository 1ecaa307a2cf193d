import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../lib/brokers/memory/index.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { channel, EngineHarness, quiet } from '../../support/engine.harness.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

describe('what a client cannot make grow', () => {
  it('G13 the connection lane of one that asks and does not read', async () => {
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

  it('G13 nor of one that asks much in a turn, and reads', async () => {
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

  it('P28 the channels that a session hands on from generation to generation', async () => {
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

describe('what an error of the application cannot do', () => {
  it('G25 one that cannot be written down is answered as internal', async () => {
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

describe('a start that fails', () => {
  it('G18 lets go of the broker all the same', async () => {
    const broker = memoryBroker();
    let closed = 0;
    broker.start = () => Promise.reject(new Error('half-way'));
    broker.close = async () => void closed++;
    harness = new EngineHarness([channel('rooms.:room')], { broker });
    await expect(harness.engine.start()).rejects.toThrow('half-way');
    await harness.engine.stop();
    expect(closed).toBe(1);
  });

  it('G18 one that ends after the stop leaves no timer behind', async () => {
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
