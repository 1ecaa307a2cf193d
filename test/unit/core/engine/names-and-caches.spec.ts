import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import type { ErrorBody } from '../../../../lib/protocol/error-body.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { alteredBroker } from '../../../support/engine/altered-broker.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

const OFF = { ratePerSecond: 1e9, burst: 1e9, userRatePerSecond: 0, bytesPerSecond: 1e12, maxChannels: 2 };
const readable = channel('rooms.:room', {
  policy: { presence: {} },
  behaviour: {
    authorize: {
      subscribe: 'public',
      publish: 'public',
      history: 'public',
      presence: 'public',
      signal: 'public',
    },
  },
});

describe('channels that a client names', () => {
  it.each([
    ['history', {}],
    ['presence', {}],
    ['publish', { event: 'said' }],
    ['signal', { event: 'typing' }],
    ['subscribe', {}],
  ])('%s on more names than the limit is refused for a while', async (type, fields) => {
    harness = await EngineHarness.start([readable], {
      settings: { limits: { ...OFF, maxDistinctChannels: 6, distinctChannelsWindowMs: 60_000 } },
    });
    const client = await harness.greet('user:ada');
    const ask = async (name: string): Promise<string> => {
      client.take();
      client.send({ type, id: 'q', channel: name, payload: {}, ...fields });
      await quiet();
      const answer = client.take().find(({ ref }) => ref === 'q');
      if (type === 'subscribe') client.send({ type: 'unsubscribe', id: 'u', channel: name });
      return answer?.type === 'error' ? (answer.payload as { code: string }).code : 'ok';
    };
    for (let index = 0; index < 6; index++) expect(await ask(`rooms.${index}`)).toBe('ok');
    expect(await ask('rooms.7')).toBe('rate_limited');
    expect(await ask('rooms.3')).toBe('ok');
    harness.clock.advance(60_000);
    client.send({ type: 'pong', ref: 'x' });
    expect(await ask('rooms.7')).toBe('ok');
  });

  it('counts the connections of one user together, and never refuses one that is subscribed', async () => {
    harness = await EngineHarness.start([readable], {
      settings: { limits: { ...OFF, maxDistinctChannels: 4 } },
    });
    const clients = [await harness.subscriber('rooms.0', 'user:ada'), await harness.greet('user:ada')];
    for (const [index, client] of clients.entries())
      for (let name = 1; name < 4; name++)
        client.send({ type: 'history', id: `h${name}`, channel: `rooms.${index}${name}` });
    await quiet();
    expect(clients.map((client) => client.take('error').length)).toEqual([0, 3]);
    clients[0]?.send({ type: 'history', id: 'own', channel: 'rooms.0' });
    await quiet();
    expect(clients[0]?.take('reply').at(-1)?.ref).toBe('own');
  });

  it('is at least twice as many as a connection may subscribe to', async () => {
    harness = await EngineHarness.start([readable], {
      settings: { limits: { ...OFF, maxChannels: 10, maxDistinctChannels: 1 } },
    });
    const client = await harness.greet('user:ada');
    for (let name = 0; name < 10; name++)
      client.send({ type: 'subscribe', id: `s${name}`, channel: `rooms.${name}` });
    await quiet();
    expect(client.take('error')).toEqual([]);
  });
});

describe('channels that a node serves', () => {
  it('are bounded: a subscribe to one more is refused for a while, to one that is served it is not', async () => {
    harness = await EngineHarness.start([readable], {
      settings: { limits: { ...OFF, maxServedChannels: 2 }, lingerMs: 100 },
    });
    const client = await harness.subscriber('rooms.1', 'user:ada');
    await harness.subscriber('rooms.2', 'user:eve');
    client.send({ type: 'subscribe', id: 's3', channel: 'rooms.3' });
    client.send({ type: 'subscribe', id: 's2', channel: 'rooms.2' });
    await quiet();
    const answers = client.take().filter(({ ref }) => ref !== undefined);
    const refused = answers.find(({ ref }) => ref === 's3')?.payload as ErrorBody;
    expect(refused.code).toBe('unavailable');
    expect(refused.retryAfterMs).toBeGreaterThanOrEqual(2_000);
    expect(refused.retryAfterMs).toBeLessThanOrEqual(4_000);
    // All clients find no room for the same reason: they do not come back together.
    client.send({ type: 'subscribe', id: 's5', channel: 'rooms.3' });
    await quiet();
    const [second] = client.take('error');
    expect((second?.payload as ErrorBody).retryAfterMs).not.toBe(refused.retryAfterMs);
    expect(answers.find(({ ref }) => ref === 's2')?.type).toBe('reply');
    client.send({ type: 'unsubscribe', id: 'u', channel: 'rooms.1' });
    harness.clock.advance(200);
    client.send({ type: 'subscribe', id: 's4', channel: 'rooms.3' });
    await quiet();
    expect(client.take('reply').at(-1)?.ref).toBe('s4');
  });
});

describe('recent events of served channels', () => {
  it('are bounded in bytes per channel and node, and given back when a channel is no longer served', async () => {
    harness = await EngineHarness.start([readable], {
      settings: { ringBytes: 5_000, ringBytesPerNode: 8_000, lingerMs: 100, limits: OFF },
    });
    const client = await harness.subscriber('rooms.1', 'user:ada');
    const other = await harness.subscriber('rooms.2', 'user:eve');
    const { hub, ringBudget } = harness.engine['parts'];
    await harness.publish('rooms.1', 20, { size: 1_000 });
    expect(ringBudget.bytes).toBeLessThanOrEqual(5_000);
    expect([16, 17, 20].map((seq) => hub.find('rooms.1')?.ring.covers(seq))).toEqual([false, true, true]);
    await harness.publish('rooms.2', 20, { size: 1_000 });
    expect(ringBudget.bytes).toBeLessThanOrEqual(8_000);
    await harness.publish('rooms.2', 1, { size: 20_000 });
    // The newest event is kept however large it is.
    expect([20, 21].map((seq) => hub.find('rooms.2')?.ring.covers(seq))).toEqual([false, true]);
    client.drop();
    other.drop();
    harness.clock.advance(200);
    expect([hub.size, ringBudget.bytes]).toEqual([0, 0]);
  });

  it('that are no longer here are replayed from the log (G8)', async () => {
    harness = await EngineHarness.start([readable], { settings: { ringBytes: 1_024, limits: OFF } });
    const first = await harness.subscriber('rooms.1');
    await harness.publish('rooms.1', 30, { size: 500 });
    const { epoch } = (await harness.engine.application.history('rooms.1')).position;
    first.take();
    const client = await harness.greet();
    client.send({ type: 'subscribe', id: 's', channel: 'rooms.1', payload: { position: { epoch, seq: 3 } } });
    await quiet();
    expect(client.take('event').map(({ seq }) => seq)).toEqual(
      Array.from({ length: 27 }, (_, index) => index + 4),
    );
  });
});

describe('a batch', () => {
  it('that has grown to a mebibyte is written before the turn ends', async () => {
    harness = await EngineHarness.start([readable], { settings: { outbox: { maxBytes: 1e9 } } });
    const client = await harness.subscriber('rooms.1');
    const before = client.frames.length;
    await harness.publish('rooms.1', 10, { size: 300 * 1024 });
    expect(client.take('event').map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(client.frames.length - before).toBe(3);
  });
});

describe('publishes that the broker has not answered', () => {
  it.each(['answers', 'rejects'])('are bounded in bytes, and given back when the broker %s', async (how) => {
    const inner = memoryBroker();
    let go: (() => void) | undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const broker = alteredBroker(inner, {
      log: {
        appendMany: async (requests) => {
          await gate;
          if (how === 'rejects') throw new RealtimeError('timeout');
          return inner.log.appendMany(requests);
        },
      },
    });
    harness = await EngineHarness.start([readable], {
      broker,
      settings: { limits: { maxAppendBytes: 5_000 } },
    });
    const { application } = harness.engine;
    const publish = (size: number): Promise<unknown> =>
      application.publish('rooms.1', 'said', 'x'.repeat(size)).then(
        () => 'ok',
        (error: RealtimeError) => error.code,
      );
    const waiting = [publish(9_000)];
    expect(await publish(10)).toBe('unavailable');
    const advice = (): Promise<number | undefined> =>
      application.publish('rooms.1', 'said', 1).then(
        () => undefined,
        (error: RealtimeError) => error.retryAfterMs,
      );
    const [one, other] = [await advice(), await advice()];
    for (const given of [one, other]) expect(given).toBeGreaterThanOrEqual(1_000);
    expect(one).not.toBe(other);
    go?.();
    expect(await Promise.all(waiting)).toEqual([how === 'answers' ? 'ok' : 'timeout']);
    expect(harness.engine['parts'].appends.pendingBytes).toBe(0);
    expect(await publish(10)).toBe(how === 'answers' ? 'ok' : 'timeout');
  });
});

describe('events that arrive before the tip is known', () => {
  it('are bounded: the others are read from the log (G5)', async () => {
    const inner = memoryBroker();
    let go: (() => void) | undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const broker = alteredBroker(inner, {
      log: {
        subscribe: async (name) => {
          const tip = await inner.log.subscribe(name);
          await gate;
          return tip;
        },
      },
    });
    harness = await EngineHarness.start([readable], { broker });
    const client = await harness.greet();
    client.send({ type: 'subscribe', id: 's', channel: 'rooms.1' });
    await quiet();
    await harness.publish('rooms.1', 12, { size: 500 * 1024 });
    go?.();
    for (let round = 0; round < 4; round++) await quiet();
    expect(harness.engine['parts'].hub.find('rooms.1')?.tip.seq).toBe(12);
  });
});
