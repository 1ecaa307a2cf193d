import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Socket } from 'node:net';
import { TIPS } from '../../lib/brokers/redis/scripts/tips.js';
import { request, requests } from '../support/engine/append-requests.js';
import { elapse, patience, stretched } from '../support/patience.js';
import { until } from '../support/until.js';
import { alteredClient } from './altered-client.js';
import { RedisKit } from './kit.js';

const CHANNEL = 'rooms.1';
const COMMAND_MS = stretched(1_500);
/** How long a refusal counts that nothing is heard of. */
const HOLDS_MS = 10_000;

describe('Redis that is unreachable, slow or restarted (G5, G21)', () => {
  let kit: RedisKit;

  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterEach(() => kit.reset());
  afterAll(() => kit.dispose());

  it('a paused server costs one timeout, then every call fails at once until it continues (G21)', async () => {
    const { broker, seen } = await kit.node({ commandTimeoutMs: COMMAND_MS });
    await broker.log.subscribe(CHANNEL);
    kit.server.pause();
    const first = await broker.log.appendMany([request(CHANNEL, 'a')]);
    expect(first).toEqual([{ ok: false, code: 'timeout' }]);
    expect(seen.states.at(-1)).toBe('down');
    const before = performance.now();
    expect(await broker.log.appendMany([request(CHANNEL, 'b')])).toEqual([
      { ok: false, code: 'unavailable' },
    ]);
    await expect(broker.log.read({ channel: CHANNEL, from: 1, limit: 1 })).rejects.toMatchObject({
      code: 'unavailable',
    });
    await expect(broker.log.subscribe('rooms.2')).rejects.toMatchObject({ name: 'RealtimeError' });
    // Each of the three would have cost a timeout.
    expect(performance.now() - before).toBeLessThan(2 * COMMAND_MS);
    kit.server.resume();
    await until('the way back', () => seen.states.at(-1) === 'up');
    // The first connection that is back says so; that of the appends may follow.
    let [again] = await broker.log.appendMany([request(CHANNEL, 'c')]);
    while (again?.ok === false && again.code === 'unavailable') {
      await elapse(10);
      [again] = await broker.log.appendMany([request(CHANNEL, 'c')]);
    }
    expect(again).toMatchObject({ ok: true });
    await until('what was appended', () => seen.eventsOf(CHANNEL).some(({ id }) => id === 'c'));
  });

  it('a server that hangs is not said to refuse, whichever way it is found (G20)', async () => {
    const { seen } = await kit.node({ commandTimeoutMs: stretched(200), maxReconnectMs: 20 });
    kit.server.pause();
    await until('Redis to be away', () => seen.states.at(-1) === 'down');
    // New connections are accepted by the system, and nothing is answered on them.
    await elapse(stretched(1_000));
    kit.server.resume();
    await until('the way back', () => seen.states.at(-1) === 'up');
    expect(seen.refusals).toEqual([]);
  });

  it('a refusal is named to the node once, and its end', async () => {
    const { broker, seen } = await kit.node();
    await kit.admin.config('SET', 'maxmemory', '1');
    await until('the refusal', () => seen.refusals.length === 1);
    for (let index = 0; index < 20; index++) await broker.log.appendMany(requests(CHANNEL, `f${index}`, 1));
    await kit.admin.config('SET', 'maxmemory', '0');
    const since = performance.now();
    await until('its end', () => seen.refusals.length === 2);
    // The next heartbeat says so; else a refusal counts for a time after the last one.
    expect(performance.now() - since).toBeLessThan(HOLDS_MS);
    expect(seen.refusals).toEqual([expect.stringMatching(/^OOM command not allowed[^:]*\.$/), undefined]);
    expect(seen.states).toEqual(['up']);
  });

  it('a connection to a paused server is closed once, however long it takes to end (G21)', async () => {
    const ends = jest.spyOn(Socket.prototype, 'end');
    try {
      const { seen } = await kit.node({ commandTimeoutMs: stretched(300), heartbeatMs: 20 });
      kit.server.pause();
      const givenUp = () => ends.mock.contexts as Socket[];
      // The connections that were there, and one that was made since: only the system took that.
      await until('some to be gone', () => new Set(givenUp().filter((one) => one.destroyed)).size >= 4);
      expect(givenUp().length).toBe(new Set(givenUp()).size);
      kit.server.resume();
      await until('the way back', () => seen.states.at(-1) === 'up');
    } finally {
      ends.mockRestore();
    }
  });

  it('a command that was cut off is not sent again: its outcome is unknown (G21)', async () => {
    const { broker, seen } = await kit.node({
      commandTimeoutMs: patience(2_000),
      heartbeatMs: 600_000,
      controlMaxAgeMs: 900_000,
    });
    const unremembered = {
      policy: { retain: true, size: 100, maxBytes: 8_388_608, ttlMs: 60_000, dedupeMs: 0 },
    };
    await broker.log.appendMany([request(CHANNEL, 'a', unremembered)]);
    kit.server.pause();
    const cut = broker.log.appendMany([request(CHANNEL, 'b', unremembered)]);
    // It may have been written by now, or not: either holds.
    await elapse(50);
    const killed = kit.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    kit.server.resume();
    await killed;
    const [outcome] = await cut;
    await until('the way back', async () => (await broker.log.tips([CHANNEL]).catch(() => [])).length === 1);
    const { events } = await broker.log.read({ channel: CHANNEL, from: 1, limit: 10 });
    // It may have been carried out before the connection went; never twice.
    expect(events.filter(({ id }) => id === 'b').length).toBeLessThanOrEqual(1);
    if (outcome?.ok !== true) expect(outcome).toEqual({ ok: false, code: 'timeout' });
    expect(seen.states).toContain('up');
  });

  it('a full queue refuses commands at once, and accepted commands are still sent (G13, G21)', async () => {
    const { broker } = await kit.node({ maxQueued: 10 });
    const outcomes = await broker.log.appendMany(requests(CHANNEL, 'e', 15));
    expect(outcomes.map((outcome) => outcome.ok)).toEqual([
      ...Array.from({ length: 10 }, () => true),
      ...Array.from({ length: 5 }, () => false),
    ]);
    expect(outcomes.at(-1)).toEqual({ ok: false, code: 'unavailable' });
  });

  it('a queue is bounded in bytes too, but always accepts a single event (G13)', async () => {
    const { broker } = await kit.node({ maxQueuedBytes: 500 });
    const big = (id: string) =>
      request(CHANNEL, id, { event: { id, event: 'message', payload: 'x'.repeat(600) } });
    expect(await broker.log.appendMany([big('a'), big('b')])).toMatchObject([{ ok: true }, { ok: false }]);
  });

  it('an event that cannot be serialized fails its own append only', async () => {
    const { broker } = await kit.node();
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    const bad = request(CHANNEL, 'bad', { event: { id: 'bad', event: 'message', payload: cycle } });
    expect(await broker.log.appendMany([bad, request(CHANNEL, 'good')])).toMatchObject([
      { ok: false },
      { ok: true, position: { seq: 1 } },
    ]);
  });

  it('a server that forgot its scripts gets them again, and the order stays (P16)', async () => {
    const { broker } = await kit.node({ maxBatch: 5 });
    await broker.log.appendMany(requests(CHANNEL, 'a', 5));
    for (let round = 0; round < 5; round += 1) {
      await kit.admin.script('FLUSH');
      const calls = requests(CHANNEL, `r${round}-`, 40).map((one) => broker.log.appendMany([one]));
      const outcomes = (await Promise.all(calls)).flat();
      const seqs = outcomes.map((outcome) => (outcome.ok ? outcome.position.seq : 0));
      expect(seqs).toEqual([...seqs].sort((left, right) => left - right));
      expect(new Set(seqs).size).toBe(40);
    }
    await kit.admin.script('FLUSH');
    expect((await broker.presence.members(CHANNEL, { limit: 1 })).count).toBe(0);
    expect((await broker.log.tips([CHANNEL]))[0]?.seq).toBe(205);
  });

  it('a lost last message is found by the check of the tips, and delivered (G5)', async () => {
    const writer = await kit.node();
    let checks = 0;
    const client = alteredClient(kit.server.url, {
      refuse: ({ name, args }) => {
        if (name === 'evalsha' && args[0] === TIPS.sha) checks++;
        return undefined;
      },
    });
    const { broker, seen } = await kit.node({ url: undefined, client, tipCheck: { intervalMs: 60 } });
    await broker.log.subscribe(CHANNEL);
    // Published without the topic: the events are in the log, and nobody was told.
    await writer.broker.log.appendMany(requests(CHANNEL, 'a', 2));
    await until('what was told', () => seen.seqsOf(CHANNEL).length === 2);
    await kit.admin.xadd(
      kit.keys.stream(CHANNEL),
      '3-1',
      't',
      String(Date.now()),
      'b',
      '[{"i":"x","n":"message"}]',
    );
    await kit.admin.hset(kit.keys.head(CHANNEL), 's', 3);
    await until('what was lost', () => seen.seqsOf(CHANNEL).length === 3);
    expect(seen.eventsOf(CHANNEL).at(-1)).toMatchObject({ seq: 3, id: 'x' });
    // Later checks find nothing more.
    const before = checks;
    await until('more checks', () => checks >= before + 5);
    expect(seen.seqsOf(CHANNEL)).toEqual([1, 2, 3]);
  });

  it('events published while the subscription is down are delivered when it is restored (G5)', async () => {
    const writer = await kit.node();
    const { broker, seen } = await kit.node({ maxReconnectMs: 400 });
    const channels = Array.from({ length: 30 }, (_, index) => `many.${index}`);
    await Promise.all(channels.map((channel) => broker.log.subscribe(channel)));
    await kit.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await writer.broker.log.appendMany(channels.flatMap((channel) => requests(channel, 'm', 3)));
    await until('every channel', () => channels.every((channel) => seen.seqsOf(channel).includes(3)));
    for (const channel of channels) expect([...new Set(seen.seqsOf(channel))]).toEqual([1, 2, 3]);
    expect(seen.states.at(-1)).toBe('up');
  });
});
