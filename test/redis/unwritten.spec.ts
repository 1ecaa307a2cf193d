// What was never written takes no memory, and has an epoch all the same.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { RedisBroker } from '../../lib/brokers/redis/index.js';
import type { Position } from '../../lib/protocol/position.js';
import { request, requests } from '../support/engine/append-requests.js';
import { elapse, stretched } from '../support/patience.js';
import { until } from '../support/until.js';
import { TIPS } from '../../lib/brokers/redis/scripts/tips.js';
import { RedisKit } from './kit.js';

const CHANNEL = 'rooms.1';
const NAMES = Array.from({ length: 1_000 }, (_, index) => `unknown.${index}`);

describe('logs and rooms that were never written', () => {
  let kit: RedisKit;
  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterEach(async () => {
    await kit.admin.config(
      'SET',
      'maxmemory',
      '0',
      'maxmemory-policy',
      'noeviction',
      'min-replicas-to-write',
      '0',
    );
    await kit.reset();
  });
  afterAll(() => kit.dispose());

  const keys = async () => (await kit.admin.keys('*')).sort();
  const usedMemory = async () => {
    await kit.admin.call('MEMORY', 'PURGE');
    return Number(/used_memory_dataset:(\d+)/.exec(await kit.admin.info('memory'))?.[1]);
  };
  const tipOf = async (broker: RedisBroker, channel = CHANNEL): Promise<Position> => {
    const [tip] = await broker.log.tips([channel]);
    if (tip === undefined) throw new Error('No tip');
    return tip;
  };
  const read = (broker: RedisBroker, { epoch, seq }: Position, channel = CHANNEL) =>
    broker.log.read({ channel, epoch, from: seq + 1, limit: 100 });
  const good = async (broker: RedisBroker, position: Position) => (await read(broker, position)).continuous;
  const appended = async (broker: RedisBroker, id: string, channel = CHANNEL): Promise<Position> => {
    const [outcome] = await broker.log.appendMany([request(channel, id)]);
    if (outcome?.ok !== true) throw new Error(`The append failed: ${outcome?.code ?? 'no outcome'}`);
    return outcome.position;
  };
  /** Makes the server refuse what takes memory. */
  const fill = () => kit.admin.config('SET', 'maxmemory', '1');

  describe('reads store nothing', () => {
    const reads: Readonly<Record<string, (broker: RedisBroker) => Promise<unknown>>> = {
      tips: (broker) => broker.log.tips(NAMES),
      'single reads': (broker) =>
        Promise.all(NAMES.map((channel) => broker.log.read({ channel, from: 1, limit: 10 }))),
      'reads backwards from a position': (broker) =>
        Promise.all(
          NAMES.map((channel) => broker.log.read({ channel, epoch: 'e', from: 3, limit: 1, reverse: true })),
        ),
      subscriptions: (broker) => Promise.all(NAMES.map((channel) => broker.log.subscribe(channel))),
      'pages of members': (broker) =>
        Promise.all(NAMES.map((channel) => broker.presence.members(channel, { limit: 10 }))),
      'leaves and updates of nobody': (broker) =>
        Promise.all(
          NAMES.flatMap((channel) => {
            const entry = { channel, member: 'u', device: 'd', generation: 1, data: {} };
            return [broker.presence.leave(entry, 0), broker.presence.update(entry)];
          }),
        ),
      'publishes behind one that is not known': (broker) =>
        broker.log.appendMany(NAMES.map((channel) => request(channel, 'b', { after: 'a' }))),
    };
    it.each(Object.keys(reads))(
      'of 1,000 unknown names, %s leave the keys and the memory as they were (P11)',
      async (kind) => {
        const { broker } = await kit.node({ sweepMs: 600_000 });
        // Scripts take memory too, once.
        await reads[kind]?.(broker);
        const before = { keys: await keys(), memory: await usedMemory() };
        expect(before.keys.filter((key) => key.includes('unknown'))).toEqual([]);
        await reads[kind]?.(broker);
        expect(await keys()).toEqual(before.keys);
        // A head took 238 bytes, and a room more.
        expect((await usedMemory()) - before.memory).toBeLessThan(100_000);
      },
    );
  });

  describe('a server that refuses to write', () => {
    it('is read as before, whatever it refuses, and appends and joins nothing (G21)', async () => {
      const { broker } = await kit.node({ heartbeatMs: 600_000, controlMaxAgeMs: 900_000 });
      const tip = await appended(broker, 'a');
      const empty = await tipOf(broker, 'never.1');
      const entry = { channel: CHANNEL, member: 'ada', device: 'd', generation: 1 };
      await broker.presence.enter(entry, 60_000);
      const room = await broker.presence.members(CHANNEL, { limit: 10 });
      const before = await keys();
      const refusals = [
        () => fill(),
        async () => {
          await kit.admin.config('SET', 'maxmemory', '0');
          await kit.admin.config('SET', 'min-replicas-to-write', '1');
        },
      ];
      for (const refuse of refusals) {
        await refuse();
        expect(await tipOf(broker)).toEqual(tip);
        expect(await tipOf(broker, 'never.1')).toEqual(empty);
        expect((await read(broker, { ...tip, seq: 0 })).events.map(({ id }) => id)).toEqual(['a']);
        expect(await broker.presence.members(CHANNEL, { limit: 10 })).toEqual(room);
        expect((await broker.presence.members('never.1', { limit: 10 })).count).toBe(0);
        for (const channel of [CHANNEL, 'never.1'])
          for (const policy of [request('x', 'x').policy, { ...request('x', 'x').policy, retain: false }])
            expect(await broker.log.appendMany([request(channel, 'b', { policy })])).toMatchObject([
              { ok: false, code: 'unavailable' },
            ]);
        await expect(broker.presence.enter({ ...entry, member: 'eve' }, 60_000)).rejects.toMatchObject({
          code: 'unavailable',
        });
        expect(await keys()).toEqual(before);
        expect(await tipOf(broker)).toEqual(tip);
      }
    });

    it('appends nothing when what is due to be dropped comes before what is added (G21)', async () => {
      const { broker } = await kit.node({ heartbeatMs: 600_000, controlMaxAgeMs: 900_000 });
      const entry = { channel: CHANNEL, member: 'ada', device: 'd', generation: 1 };
      // No node ends the lease by itself.
      await kit.admin.zadd(kit.keys.room(CHANNEL)[4] ?? '', 1, 'gone');
      await appended(broker, 'a');
      await fill();
      const [refused] = await broker.log.appendMany([
        request(CHANNEL, 'b', { policy: { ...request('x', 'x').policy, retain: false } }),
      ]);
      expect(refused).toMatchObject({ ok: false, code: 'unavailable' });
      expect((await read(broker, { ...(await tipOf(broker)), seq: 0 })).events).toHaveLength(1);
      await expect(broker.presence.enter(entry, 60_000)).rejects.toMatchObject({ code: 'unavailable' });
    });

    it('appends nothing of what is not kept either, such as a probe, when the head is due to be renewed (G20, G21)', async () => {
      const { broker } = await kit.node({ heartbeatMs: 600_000, controlMaxAgeMs: 900_000 });
      const policy = { ...request('x', 'x').policy, retain: false, dedupeMs: 0 };
      const append = async (id: string) =>
        (await broker.log.appendMany([request(CHANNEL, id, { policy })]))[0]?.ok;
      expect(await append('a')).toBe(true);
      const head = kit.keys.head(CHANNEL);
      await kit.admin.hset(head, 'x', '1');
      await fill();
      for (const id of ['b', 'c']) expect(await append(id)).toBe(false);
      expect(await kit.admin.hmget(head, 's', 'x')).toEqual(['1', '1']);
      await kit.admin.config('SET', 'maxmemory', '0');
      expect(await append('d')).toBe(true);
      expect(await kit.admin.hget(head, 's')).toBe('2');
      expect(Number(await kit.admin.hget(head, 'x'))).toBeGreaterThan(1);
    });

    it('lets members leave, and ends their leases (G19)', async () => {
      const { broker } = await kit.node({ heartbeatMs: 600_000, controlMaxAgeMs: 900_000 });
      const entry = (member: string) => ({ channel: CHANNEL, member, device: 'd', generation: 1 });
      await broker.presence.enter(entry('ada'), 60_000);
      await broker.presence.enter(entry('eve'), stretched(200));
      await fill();
      await broker.presence.leave(entry('ada'), 0);
      await until(
        'the lease to end',
        async () => (await broker.presence.members(CHANNEL, { limit: 1 })).count === 0,
      );
    });

    it('under a new incarnation, everybody finds the same epoch, and the first write keeps it (G6, P10)', async () => {
      const one = await kit.node({ heartbeatMs: 600_000, controlMaxAgeMs: 900_000 });
      const other = await kit.node({ heartbeatMs: 600_000, controlMaxAgeMs: 900_000 });
      const before = await appended(one.broker, 'a');
      await fill();
      await kit.admin.call('DEBUG', 'CHANGE-REPL-ID');
      const tip = await tipOf(one.broker);
      expect(tip.epoch).not.toBe(before.epoch);
      expect(await tipOf(other.broker)).toEqual(tip);
      expect(await good(other.broker, before)).toBe(true);
      await kit.admin.config('SET', 'maxmemory', '0');
      expect(await appended(other.broker, 'b')).toEqual({ epoch: tip.epoch, seq: 2 });
      expect(
        await Promise.all([before, tip, { ...before, seq: 2 }].map((at) => good(one.broker, at))),
      ).toEqual([true, true, false]);
    });
  });

  describe('their epoch', () => {
    it('is the same on all nodes and in rooms, and the first event and the first member keep it (P10, P11)', async () => {
      const [one, other] = [await kit.node(), await kit.node()];
      const tip = await one.broker.log.subscribe(CHANNEL);
      expect(tip).toEqual({ epoch: expect.stringMatching(/^.{1,64}$/), seq: 0 });
      expect(await tipOf(other.broker)).toEqual(tip);
      const room = await other.broker.presence.members(CHANNEL, { limit: 1 });
      expect(room).toMatchObject({ version: 0, count: 0 });
      expect(await appended(other.broker, 'a')).toEqual({ ...tip, seq: 1 });
      await other.broker.presence.enter(
        { channel: CHANNEL, member: 'u', device: 'd', generation: 1 },
        60_000,
      );
      expect(await one.broker.presence.members(CHANNEL, { limit: 1 })).toMatchObject({
        epoch: room.epoch,
        version: 1,
        count: 1,
      });
    });

    it('changes with a restart, and the start of the log stays a true position (G6)', async () => {
      const { broker, seen } = await kit.node({ tipCheck: { intervalMs: 50 } });
      const start = await broker.log.subscribe(CHANNEL);
      await kit.admin.call('DEBUG', 'CHANGE-REPL-ID');
      const now = await tipOf(broker);
      expect(now.epoch).not.toBe(start.epoch);
      expect(await good(broker, start)).toBe(true);
      expect(await good(broker, { ...start, seq: 1 })).toBe(false);
      await kit.admin.call('DEBUG', 'CHANGE-REPL-ID');
      await appended(broker, 'a');
      await kit.admin.call('DEBUG', 'CHANGE-REPL-ID');
      for (const { epoch } of [start, now]) {
        expect((await read(broker, { epoch, seq: 0 })).events.map(({ id }) => id)).toEqual(['a']);
        expect(await good(broker, { epoch, seq: 1 })).toBe(false);
      }
      await until('the event', () => seen.eventsOf(CHANNEL).some(({ id }) => id === 'a'));
    });

    const evict = async () => {
      const { head, stream, ids } = kit.keys.of(CHANNEL);
      await kit.admin.config('SET', 'maxmemory-policy', 'volatile-ttl');
      // What ends first is evicted first: nothing else goes.
      for (const key of [head, stream, ...ids]) await kit.admin.pexpire(key, 50_000);
      await kit.admin.config('SET', 'maxmemory-eviction-tenacity', '100');
      for (let free = 0; (await kit.admin.exists(head, stream, ...ids)) > 0; free++) {
        const used = Number(/used_memory:(\d+)/.exec(await kit.admin.info('memory'))?.[1]);
        await kit.admin.config('SET', 'maxmemory', String(used - 2_000 * free));
        await kit.admin.set('filler', 'x').catch(() => undefined);
        await kit.admin.config('SET', 'maxmemory', '0');
        if (free > 50) throw new Error('Nothing is evicted');
      }
    };
    /** Everything that loses a log: what a client knew of it is true of no later one. */
    const losses: Readonly<Record<string, () => Promise<void>>> = {
      'a flush': async () => void (await kit.admin.flushall()),
      'the removal of its head': async () => void (await kit.admin.del(kit.keys.head(CHANNEL))),
      'the eviction of all its keys': () => evict(),
      'its eviction, while the server begins to count again': async () => {
        await evict();
        // Somebody asks before it does.
        await kit.admin.eval(
          TIPS.text,
          2,
          kit.keys.head(CHANNEL),
          kit.keys.origin(CHANNEL),
          'another',
          600_000,
        );
        await kit.admin.config('RESETSTAT');
      },
    };
    it.each(Object.keys(losses))(
      'after %s, no position of the log before is true (G6, P10)',
      async (kind) => {
        const { broker } = await kit.node({ heartbeatMs: 600_000, controlMaxAgeMs: 900_000 });
        const start = await tipOf(broker);
        const old = await appended(broker, 'a');
        await losses[kind]?.();
        const { seq } = await tipOf(broker);
        expect(seq).toBe(0);
        expect(await good(broker, old)).toBe(false);
        for (const id of ['b', 'c']) expect((await appended(broker, id)).epoch).not.toBe(old.epoch);
        for (const position of [start, old, { ...old, seq: 2 }])
          expect(await good(broker, position)).toBe(false);
        // The second time.
        const again = await tipOf(broker);
        await losses[kind]?.();
        await appended(broker, 'd');
        for (const position of [old, again, { ...again, seq: 1 }])
          expect(await good(broker, position)).toBe(false);
      },
    );

    it('after a head has expired, no position of the log before is true, and a room begins another epoch (G6)', async () => {
      const { broker } = await kit.node({ headMs: 300 });
      const policy = { retain: false, size: 0, maxBytes: 0, ttlMs: 0, dedupeMs: 0 };
      const append = async (id: string) => {
        const [outcome] = await broker.log.appendMany([request(CHANNEL, id, { policy })]);
        return outcome?.ok === true ? outcome.position : undefined;
      };
      const old = await append('a');
      if (old === undefined) throw new Error('The append failed');
      const entry = { channel: CHANNEL, member: 'u', device: 'd', generation: 1 };
      await broker.presence.enter(entry, 60_000);
      const room = await broker.presence.members(CHANNEL, { limit: 1 });
      await until('the head to expire', async () => (await kit.admin.exists(kit.keys.head(CHANNEL))) === 0);
      const again = await append('b');
      expect(again?.seq).toBe(1);
      expect(again?.epoch).not.toBe(old.epoch);
      for (const position of [old, { ...old, seq: 0 }]) expect(await good(broker, position)).toBe(false);
      // It outlives its members, and not its time.
      expect(await kit.admin.pttl(kit.keys.room(CHANNEL)[0] ?? '')).toBeGreaterThan(10_000);
      await broker.presence.leave(entry, 0);
      await until(
        'the room to expire',
        async () => (await kit.admin.exists(kit.keys.room(CHANNEL)[0] ?? '')) === 0,
      );
      expect((await broker.presence.members(CHANNEL, { limit: 1 })).epoch).not.toBe(room.epoch);
    });

    it('the log of a probe lives for a minute, also when the tips are checked (G20)', async () => {
      const { broker, seen } = await kit.node({ tipCheck: { intervalMs: 20 } });
      await broker.log.subscribe(CHANNEL);
      await broker.probe(stretched(5_000));
      // The check has gone round, and has found a loss, which nothing announced.
      await kit.admin.flushall();
      await broker.probe(stretched(5_000));
      await appended(broker, 'a');
      const heads = () => kit.admin.keys('*:h:$rt.probe.*');
      expect(await heads()).toHaveLength(1);
      await kit.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await until('all tips to be checked', () => seen.states.at(-1) === 'up' && seen.states.length > 2);
      const before = seen.eventsOf(CHANNEL).length;
      await kit.admin.hset(kit.keys.head(CHANNEL), 'e', 'another');
      await until('the check', () => seen.eventsOf(CHANNEL).length > before);
      for (const head of await heads()) expect(await kit.admin.pttl(head)).toBeLessThanOrEqual(70_000);
    });

    it('an origin lives no longer than any head that began under it (G6)', async () => {
      const long = await kit.node({ headMs: 600_000 });
      const short = await kit.node({ headMs: 60_000 });
      const origin = kit.keys.origin(CHANNEL);
      expect(await kit.admin.pttl(origin)).toBeGreaterThan(60_000);
      await appended(long.broker, 'a', 'rooms.0');
      await short.broker.log.appendMany([
        request(CHANNEL, 'a', { policy: { retain: false, size: 0, maxBytes: 0, ttlMs: 0, dedupeMs: 0 } }),
      ]);
      const [head, left] = await Promise.all([
        kit.admin.pexpiretime(kit.keys.head(CHANNEL)),
        kit.admin.pexpiretime(origin),
      ]);
      expect(left).toBeLessThanOrEqual(head);
      // Probes have heads of a minute, and leave it alone.
      const before = await kit.admin.pexpiretime(kit.keys.origin('rooms.0'));
      await long.broker.probe(stretched(5_000));
      expect(await kit.admin.pexpiretime(kit.keys.origin('rooms.0'))).toBe(before);
    });

    it('is found without an origin that was lost, by the first call that needs it (P11)', async () => {
      const { broker } = await kit.node({ heartbeatMs: 600_000, controlMaxAgeMs: 900_000 });
      await kit.admin.flushall();
      const tips = await Promise.all([tipOf(broker), tipOf(broker), tipOf(broker)]);
      expect(new Set(tips.map(({ epoch }) => epoch)).size).toBe(1);
      await elapse(1);
      expect((await broker.log.appendMany(requests(CHANNEL, 'a', 2))).at(-1)).toMatchObject({
        position: { epoch: tips[0]?.epoch, seq: 2 },
      });
    });

    it('without an origin and on a server that refuses to write, is the same for all, so that nobody reads on and on (G6)', async () => {
      const nodes = await Promise.all(
        [1, 2].map(() => kit.node({ heartbeatMs: 600_000, controlMaxAgeMs: 900_000 })),
      );
      await kit.admin.flushall();
      await fill();
      const epochs = new Set<string>();
      for (let round = 0; round < 20; round += 1)
        for (const { broker } of nodes) {
          const tip = await tipOf(broker, `rooms.${round % 3}`);
          const { members, epoch } = await broker.presence.members(`rooms.${round % 3}`, { limit: 1 });
          expect([tip.seq, members]).toEqual([0, []]);
          epochs.add(tip.epoch).add(epoch);
        }
      // A minute may end.
      expect(epochs.size).toBeLessThanOrEqual(2);
      expect(await keys()).toEqual([]);
    });

    it('without an origin and on a server that refuses to write, nothing is promised that could become untrue (G6)', async () => {
      const { broker } = await kit.node({ heartbeatMs: 600_000, controlMaxAgeMs: 900_000 });
      await kit.admin.flushall();
      await fill();
      const tip = await tipOf(broker);
      expect(tip.seq).toBe(0);
      await kit.admin.config('SET', 'maxmemory', '0');
      await appended(broker, 'a');
      expect(await good(broker, tip)).toBe(false);
    });
  });
});
