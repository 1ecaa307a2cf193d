import { afterEach, describe, expect, it } from '@jest/globals';
import type { OverflowPolicy } from '../../../../lib/core/ports/channel-definition.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { channel, EngineHarness, quiet, type SettingsPatch } from '../../../support/engine/harness.js';

const KIB = 1024;
const ROOM = 'rooms.1';
const RATES_OFF = {
  ratePerSecond: 1e9,
  burst: 1e9,
  userRatePerSecond: 0,
  bytesPerSecond: 1e12,
  answerBytesPerSecond: 1e12,
  userAnswerBytesPerSecond: 1e12,
};

let harness: EngineHarness;
let warnings: string[];
afterEach(() => harness.stop());

async function start(outbox: SettingsPatch['outbox'], overflow: OverflowPolicy = 'disconnect') {
  warnings = [];
  harness = await EngineHarness.start(
    [
      channel('rooms.:room', { policy: { overflow } }),
      channel('fat.:room', { policy: { overflow, presence: {} } }),
    ],
    {
      settings: { outbox, limits: RATES_OFF },
      warnings,
    },
  );
}

function budget() {
  return harness.engine['parts'].budget;
}

/** Clients of users of their own that do not read and are sent so many events in channels of their own. */
async function deaf(count: number, bytes: number): Promise<FakeConnection[]> {
  const clients: FakeConnection[] = [];
  for (let index = 0; index < count; index++) {
    const name = `rooms.deaf-${index}`;
    const client = await harness.subscriber(name, `user:mallory-${index}`);
    client.stall();
    await harness.publish(name, 1);
    await harness.publish(name, 1, { size: bytes });
    clients.push(client);
  }
  return clients;
}

const codesOf = (clients: readonly FakeConnection[]) => clients.map(({ closed }) => closed?.code);

describe('the outboxes of a node together (G13)', () => {
  it('hold a bounded total: the fullest are closed with 4003 and the log says so, and who reads loses nothing', async () => {
    await start({ maxBytesPerNode: 1024 * KIB });
    const reader = await harness.subscriber(ROOM, 'user:ada');
    const clients = await deaf(6, 200 * KIB);
    expect(codesOf(clients)).toEqual([4003, undefined, undefined, undefined, undefined, undefined]);
    expect(budget().bytes).toBeLessThanOrEqual(1024 * KIB);
    expect(warnings).toEqual([expect.stringMatching(/outbox\.maxBytesPerNode/)]);
    await harness.publish(ROOM, 3, { size: 100 * KIB });
    expect(reader.take('event')).toHaveLength(3);
    expect(reader.closed).toBeUndefined();
  });

  it('count what many are sent once', async () => {
    await start({ maxBytesPerNode: 1024 * KIB });
    const clients = await Promise.all(
      Array.from({ length: 20 }, (_, index) => harness.subscriber(ROOM, `user:u${index}`)),
    );
    for (const client of clients) client.stall();
    await harness.publish(ROOM, 1, { size: 200 * KIB });
    await harness.publish(ROOM, 1, { size: 200 * KIB });
    expect(new Set(codesOf(clients))).toEqual(new Set([undefined]));
    expect(budget().bytes).toBeGreaterThan(400 * KIB);
    expect(budget().bytes).toBeLessThan(500 * KIB);
    for (const client of clients) client.drain();
    await quiet();
    expect(budget().bytes).toBe(0);
  });

  it('count what many are sent for each whose socket keeps a copy, as TLS does', async () => {
    await start({ maxBytesPerNode: 8 * 1024 * KIB });
    const clients = await Promise.all(
      Array.from({ length: 10 }, (_, index) => harness.subscriber(ROOM, `user:u${index}`)),
    );
    for (const client of clients) {
      Object.assign(client, { copiesFrames: true });
      client.stall();
    }
    await harness.publish(ROOM, 1, { size: 200 * KIB });
    expect(budget().bytes).toBeGreaterThan(2_000 * KIB);
    expect(budget().bytes).toBeLessThan(2_100 * KIB);
    for (const client of clients) client.drain();
    await quiet();
    expect(budget().bytes).toBe(0);
  });

  it('count what a socket of a closed session holds, until it is gone', async () => {
    await start({ maxBytesPerNode: 1024 * KIB });
    const client = await harness.subscriber(ROOM, 'user:ada');
    client.stall();
    await harness.publish(ROOM, 1, { size: 200 * KIB });
    const terminated: string[] = [];
    // A socket that takes its time, as one whose client reads nothing does.
    client.close = () => undefined;
    client.terminate = () => void terminated.push('ada');
    harness.engine['parts'].sessions.list()[0]?.close('drain');
    await quiet();
    expect(budget().bytes).toBeGreaterThan(200 * KIB);
    expect(terminated).toEqual([]);
    await deaf(5, 180 * KIB);
    expect(terminated).toEqual(['ada']);
    expect(budget().bytes).toBeGreaterThan(900 * KIB);
    client.handler.onClose(1006);
    expect(budget().bytes).toBeGreaterThan(900 * KIB);
  });

  it.each(['drop-oldest', 'drop-newest', 'conflate', 'disconnect'] as const)(
    'are empty when all is read or closed, with %s',
    async (overflow) => {
      await start({ maxBytes: 8 * KIB, maxMessages: 8 }, overflow);
      const [drained, dropped] = [
        await harness.subscriber(ROOM, 'user:ada'),
        await harness.subscriber(ROOM, 'user:eve'),
      ];
      for (const client of [drained, dropped]) client.stall();
      for (let round = 0; round < 12; round++) {
        await harness.publish(ROOM, 2, { size: KIB, key: (index) => `k${index}` });
        await harness.engine.application.signal(ROOM, 'typing', 'x'.repeat(100));
        drained.send({ type: 'history', id: `h${round}`, channel: ROOM, payload: { limit: 1 } });
        drained.send({ type: 'nonsense', id: `n${round}` });
        await quiet();
      }
      drained.send({ type: 'unsubscribe', id: 'u', channel: ROOM });
      await quiet();
      if (drained.closed === undefined) drained.drain();
      dropped.drop();
      await quiet();
      expect(budget().bytes).toBe(0);
    },
  );

  it('are empty when a client ends that was answered pings and did not read', async () => {
    await start({});
    const client = await harness.subscriber(ROOM, 'user:ada');
    client.stall();
    await harness.publish(ROOM, 1);
    for (const id of ['p1', 'p2']) client.send({ type: 'ping', id });
    await quiet();
    client.drop();
    await quiet();
    expect(budget().bytes).toBe(0);
  });

  it('do not count a client twice that frees its queue and fills it again', async () => {
    await start({ maxBytesPerNode: 1024 * KIB });
    const [client] = (await deaf(1, 200 * KIB)) as [FakeConnection];
    const before = budget().bytes;
    for (let round = 0; round < 3; round++) {
      client.drain();
      await quiet();
      expect(budget().bytes).toBe(0);
      client.stall();
      await harness.publish('rooms.deaf-0', 1);
      await harness.publish('rooms.deaf-0', 1, { size: 200 * KIB });
      expect(Math.abs(budget().bytes - before)).toBeLessThan(KIB);
    }
  });
});

describe('a client for which much waits (G13, G16)', () => {
  it.each(['history', 'presence'])('is refused %s without a read of the broker', async (type) => {
    await start({ maxBytes: 400 * KIB });
    const client = await harness.subscriber('fat.1', 'user:ada');
    client.stall();
    await harness.publish('fat.1', 1);
    await harness.publish('fat.1', 1, { size: 150 * KIB });
    client.take();
    let reads = 0;
    const { log, presence } = harness.broker;
    const [read, page] = [log.read.bind(log), presence.members.bind(presence)];
    log.read = (request) => {
      reads++;
      return read(request);
    };
    presence.members = (...args) => {
      reads++;
      return page(...args);
    };
    client.send({ type, id: 'h', channel: 'fat.1', payload: {} });
    await quiet();
    expect(reads).toBe(0);
    client.drain();
    await quiet();
    const answer = client.take().find(({ ref }) => ref === 'h');
    expect(answer?.payload).toMatchObject({ code: 'rate_limited', retryAfterMs: 1_000 });
    client.send({ type, id: 'again', channel: 'fat.1', payload: {} });
    await quiet();
    expect(client.take().find(({ ref }) => ref === 'again')?.type).toBe('reply');
    expect(reads).toBeGreaterThan(0);
  });

  it('is refused such a read as soon as it holds its share, while the node has little to give', async () => {
    await start({ maxBytesPerNode: 1024 * KIB });
    await deaf(3, 180 * KIB);
    const [small, large] = [
      await harness.subscriber('fat.1', 'user:ada'),
      await harness.subscriber('fat.2', 'user:eve'),
    ];
    for (const client of [small, large]) client.stall();
    await harness.publish('fat.1', 1, { size: 60 * KIB });
    await harness.publish('fat.2', 1, { size: 70 * KIB });
    for (const [index, client] of [small, large].entries())
      client.send({ type: 'history', id: 'h', channel: `fat.${index + 1}`, payload: {} });
    await quiet();
    for (const client of [small, large]) client.drain();
    await quiet();
    const types = [small, large].map((client) => client.take().find(({ ref }) => ref === 'h')?.type);
    expect(types).toEqual(['reply', 'error']);
  });
});
