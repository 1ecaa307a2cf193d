import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { APPEND } from '../../lib/brokers/redis/scripts/append.js';
import { CONTROL } from '../../lib/brokers/redis/scripts/control.js';
import { DUE } from '../../lib/brokers/redis/scripts/due.js';
import { HEARTBEAT } from '../../lib/brokers/redis/scripts/heartbeat.js';
import { MEMBERS } from '../../lib/brokers/redis/scripts/members.js';
import { PRESENCE } from '../../lib/brokers/redis/scripts/presence.js';
import { READ } from '../../lib/brokers/redis/scripts/read.js';
import { TIPS } from '../../lib/brokers/redis/scripts/tips.js';
import type { RedisScript } from '../../lib/brokers/redis/scripts/script.js';
import { elapse, stretched } from '../support/patience.js';
import { RedisKit } from './kit.js';

type Argument = string | number;

describe('the scripts, on a real server', () => {
  let kit: RedisKit;
  let counter = 0;
  let calls = 0;

  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterAll(() => kit.dispose());

  /** By the server's clock. */
  const now = async () => {
    const [seconds = 0, micros = 0] = await kit.admin.time();
    return seconds * 1_000 + Math.floor(micros / 1_000);
  };
  const channel = () => `rooms.${(counter += 1)}`;
  const run = (script: RedisScript, keys: readonly string[], args: readonly Argument[]) =>
    kit.admin.eval(script.text, keys.length, ...keys, ...args) as Promise<(string | number)[]>;
  const log = (name: string) => [kit.keys.head(name), kit.keys.stream(name), kit.keys.topic(name)];
  const beat = (node: string, partitions: string) => [1, node, 10_000, partitions, 'tok', 90_000];
  const beatKeys = () => [
    ...[kit.keys.layout, kit.keys.nodes, kit.keys.meta],
    ...log('$rt.control').slice(0, 2),
  ];
  const withIds = (name: string) => [...log(name), ...kit.keys.of(name).ids];

  type Item = readonly [id: number, after: number, print: string, body: string];
  const POLICY = [1, 100, 60_000, 10_000, 90_000];
  const recordOf = (bodies: readonly string[]) => `[${bodies.join(',\n')}]`;

  /** One section, in a log whose epoch is `tok.1`. */
  const appendTo = async (name: string, touch: number, section: readonly Argument[]) => {
    await run(TIPS, log(name).slice(0, 2), ['tok', 90_000]);
    calls += 1;
    const out = await run(APPEND, withIds(name), [`call${calls}`, touch, 1, ...section]);
    return out[0] as unknown as (string | number)[];
  };
  /** In the mixed form: places of id and `after` are 1-based in `ids`. */
  const append = (
    name: string,
    ids: readonly string[],
    items: readonly Item[],
    policy: readonly Argument[] = POLICY,
    touch = 0,
  ) => {
    const details = items.flatMap(([id, after, print]) => [id, after, print]);
    const text = recordOf(items.map(([, , , body]) => body));
    return appendTo(name, touch, [...policy, items.length, ids.length, 'm', text, ...ids, ...details]);
  };
  const plain = (name: string, bodies: readonly string[], policy: readonly Argument[] = POLICY) =>
    appendTo(name, 0, [...policy, bodies.length, 0, 'p', recordOf(bodies)]);
  /** Every event has an id. */
  const identified = (name: string, ids: readonly string[], policy: readonly Argument[] = POLICY) => {
    const text = recordOf(ids.map((id) => JSON.stringify({ i: id })));
    const claims = ids.map((id, index) => `call${calls + 1}.1-${index} f-${id}`);
    return appendTo(name, 0, [...policy, ids.length, ids.length, 'i', text, ...ids, ...claims]);
  };
  const times = (count: number, body: string) => Array.from({ length: count }, () => body);

  describe('append', () => {
    it('P15 P16 answers each event: seq, duplicate, conflict, out of order', async () => {
      const name = channel();
      const ids = ['a', 'b', 'never'];
      const out = await append(name, ids, [
        [1, 0, 'fa', '{}'],
        [2, 1, 'fb', '{}'],
        [1, 0, 'fa', '{}'],
        [1, 0, 'other', '{}'],
        [0, 3, 'fc', '{}'],
      ]);
      expect(out).toEqual(['tok.1', 1, 1, 2, '1 tok.1', 'c', 'o']);
    });

    it('P15 answers with the first number alone when all were appended, whatever the form', async () => {
      const name = channel();
      expect(
        await append(
          name,
          ['a', 'b'],
          [
            [1, 0, 'f-a', '{}'],
            [2, 1, 'f-b', '{}'],
          ],
        ),
      ).toEqual(['tok.1', 1]);
      expect(await identified(name, ['c', 'd'])).toEqual(['tok.1', 3]);
      expect(await plain(name, ['{}', '{}'])).toEqual(['tok.1', 5]);
      expect(await identified(name, ['a', 'e', 'd', 'f'])).toEqual(['tok.1', 7, '1 tok.1', 7, '4 tok.1', 8]);
    });

    it('P15 leaves what was not appended out of the record and of the message', async () => {
      const name = channel();
      const ids = ['a', 'b', 'c', 'd'];
      await append(name, ids, [
        [2, 0, 'f', '{"i":"b"}'],
        [4, 0, 'f', '{"i":"d"}'],
      ]);
      await append(name, ids, [
        [1, 0, 'f', '{"i":"a","n":"x],[,"}'],
        [2, 0, 'f', '{"i":"b"}'],
        [3, 0, 'f', '{"i":"c"}'],
        [4, 0, 'f', '{"i":"d"}'],
      ]);
      const records = await kit.admin.xrange(kit.keys.stream(name), '-', '+');
      expect(records.map(([id, [, , , text]]) => [id, text])).toEqual([
        ['2-2', '[{"i":"b"},\n{"i":"d"}]'],
        ['4-2', '[{"i":"a","n":"x],[,"},\n{"i":"c"}]'],
      ]);
    });

    it('P10 goes on in the next section of the same log, and keeps logs apart', async () => {
      const [one, other] = [channel(), channel()];
      const section = [...POLICY, 2, 0, 'p', recordOf(['{}', '{}'])];
      const out = await run(
        APPEND,
        [...withIds(one), ...withIds(other), ...withIds(one)],
        ['tok', 0, 3, ...section, ...section, ...section],
      );
      expect(out).toEqual([
        ['tok.1', 1],
        ['tok.2', 1],
        ['tok.1', 3],
      ]);
    });

    it('P10 tells no more events than the bound, and keeps whole records of at most a few more', async () => {
      const name = channel();
      const policy = [1, 7, 60_000, 0, 90_000];
      await plain(name, times(300, '{"i":"x"}'), policy);
      expect((await run(READ, log(name).slice(0, 2), ['r', 90_000, '', 1, '', 100, 0, 1_000_000]))[3]).toBe(
        294,
      );
      for (let count = 0; count < 1_000; count += 1) await plain(name, ['{"i":"x"}'], policy);
      expect((await run(READ, log(name).slice(0, 2), ['r', 90_000, '', 1, '', 100, 0, 1_000_000]))[3]).toBe(
        1_294,
      );
      expect(await kit.admin.xlen(kit.keys.stream(name))).toBeLessThanOrEqual(7 + 100);
    });

    it('P10 everything it writes ends by itself, the head last', async () => {
      const name = channel();
      const before = await now();
      await identified(name, ['a']);
      const after = await now();
      const ends = await Promise.all(
        [kit.keys.of(name).ids[0], kit.keys.stream(name), kit.keys.head(name)].map((key) =>
          kit.admin.pexpiretime(key ?? ''),
        ),
      );
      // Up to a quarter later, so that not every append must renew the ends.
      const within = [10_000, 60_000, 90_000].map(
        (ms, index) => (ends[index] ?? 0) > before + ms && (ends[index] ?? 0) <= after + 1.25 * ms,
      );
      expect(within).toEqual([true, true, true]);
    });

    it('P10 no key ends before its time, whatever was appended under which times', async () => {
      const name = channel();
      const [head, stream] = [kit.keys.head(name), kit.keys.stream(name)];
      /** How long after the beginning of an append the events end, and the head. */
      const lives = async (...policy: readonly Argument[]) => {
        const before = await now();
        await plain(name, ['{}'], policy);
        const ends = await Promise.all([kit.admin.pexpiretime(stream), kit.admin.pexpiretime(head)]);
        return ends.map((end) => end - before);
      };
      // A key outlives its time by an eighth at first; when that is used up, an append must renew it.
      await lives(1, 100, 10_000, 0, 20_000);
      await elapse(1_500);
      const [events = 0, counter = 0] = await lives(1, 100, 10_000, 0, 20_000);
      expect(events).toBeGreaterThan(10_000);
      expect(counter).toBeGreaterThan(20_000);
      expect((await lives(1, 100, 50_000, 0, 90_000))[0]).toBeGreaterThan(50_000);
      await lives(0, 0, 1, 0, 90_000);
      expect((await lives(1, 100, 50_000, 0, 90_000))[0]).toBeGreaterThan(50_000);
    });

    it('publishes the events of a log as one message', async () => {
      const name = channel();
      const listener = kit.admin.duplicate();
      listener.on('error', () => undefined);
      const messages: string[] = [];
      listener.on('smessage', (_topic: string, text: string) => messages.push(text));
      await listener.ssubscribe(kit.keys.topic(name));
      await append(
        name,
        [],
        [
          [0, 0, 'f', '{"i":"a"}'],
          [0, 0, 'f', '{"i":"b"}'],
        ],
      );
      await listener.ping();
      listener.disconnect();
      expect(messages).toHaveLength(1);
      expect(messages[0]).toMatch(/^1etok\.1 1 \d{13}\n\[\{"i":"a"\},\n\{"i":"b"\}\]$/);
    });

    it('G1 `touch` writes although everything was a duplicate, so that WAIT has something to wait for', async () => {
      const name = channel();
      const ids = ['a'];
      const head = kit.keys.head(name);
      await append(name, ids, [[1, 0, 'f', '{}']]);
      await kit.admin.pexpire(head, 50_000);
      await append(name, ids, [[1, 0, 'f', '{}']]);
      expect(await kit.admin.pttl(head)).toBeLessThanOrEqual(50_000);
      await append(name, ids, [[1, 0, 'f', '{}']], undefined, 1);
      expect(await kit.admin.pttl(head)).toBeGreaterThan(80_000);
    });

    it('G6 `touch` never shortens the life of a head: a log that is in use would begin anew', async () => {
      const name = channel();
      const head = kit.keys.head(name);
      await append(name, ['a'], [[1, 0, 'f', '{}']], [1, 100, 60_000, 10_000, 900_000]);
      const before = await kit.admin.pttl(head);
      await append(name, ['a'], [[1, 0, 'f', '{}']], undefined, 1);
      expect(await kit.admin.pttl(head)).toBeGreaterThan(before - 60_000);
    });

    it('G6 keeps at most eight forks, each cut to the tip', async () => {
      const name = channel();
      await append(name, [], [[0, 0, 'f', '{}']]);
      const forks = Array.from({ length: 8 }, (_, index) => `e${index}:${index * 10}`).join(',');
      await kit.admin.hset(kit.keys.head(name), 'i', 'another', 'f', forks, 's', 25, 'e', 'mine');
      const [epoch, seq] = await run(TIPS, log(name).slice(0, 2), ['new', 90_000]);
      expect([epoch, seq]).toEqual(['new.1', 25]);
      expect(await kit.admin.hget(kit.keys.head(name), 'f')).toBe(
        'e1:10,e2:20,e3:25,e4:25,e5:25,e6:25,e7:25,mine:25',
      );
    });
  });

  describe('the memory of ids', () => {
    const SHORT = [1, 100, 60_000, 200, 90_000];

    it('P15 drops ids in bulk, so that it never holds more than two windows', async () => {
      const name = channel();
      const hashes = kit.keys.of(name).ids;
      const sizes: number[] = [];
      for (let round = 0; round < 12; round += 1) {
        await identified(name, [`${round}-a`, `${round}-b`], SHORT);
        const held = (await Promise.all(hashes.map((hash) => kit.admin.hkeys(hash)))).flat();
        sizes.push(held.filter((id) => !id.startsWith('=')).length);
        await elapse(50);
      }
      // Two windows of 200 ms and what the pauses were longer than 50 ms: far from the 24 ids of all rounds.
      expect(Math.max(...sizes)).toBeLessThanOrEqual(18);
      expect(sizes.some((size, index) => size < (sizes[index - 1] ?? 0))).toBe(true);
    });

    /** `brief`, whose window is over, and `long` lie in one hash, `next` in the one that is current now. */
    const inBothHashes = async (name: string) => {
      await identified(name, ['brief'], [1, 100, 60_000, stretched(100), 90_000]);
      await identified(name, ['long'], POLICY);
      await elapse(stretched(120));
      await identified(name, ['next'], POLICY);
    };

    it('P15 an id in the hash before the current one is recognised until its own end, and not behind it', async () => {
      const name = channel();
      await inBothHashes(name);
      expect(await identified(name, ['long', 'next'], POLICY)).toEqual(['tok.1', 4, '2 tok.1', '3 tok.1']);
      expect(await identified(name, ['brief'], POLICY)).toEqual(['tok.1', 4]);
      expect(await identified(name, ['brief'], POLICY)).toEqual(['tok.1', 5, '4 tok.1']);
    });

    it('P15 a longer window of a later publish keeps the earlier ones to their own', async () => {
      const name = channel();
      await identified(name, ['short'], SHORT);
      await identified(name, ['long'], POLICY);
      await elapse(220);
      expect(await identified(name, ['short', 'long'], POLICY)).toEqual(['tok.1', 3, 3, '2 tok.1']);
      const ends = await Promise.all(kit.keys.of(name).ids.map((hash) => kit.admin.pttl(hash)));
      expect(Math.max(...ends)).toBeGreaterThan(9_000);
    });

    it('P16 an `after` is looked up in both hashes', async () => {
      const name = channel();
      await inBothHashes(name);
      const behind = (after: string, id: string) => append(name, [after, id], [[2, 1, `f-${id}`, '{}']]);
      expect(await behind('brief', 'd')).toEqual(['tok.1', 4, 'o']);
      expect(await behind('long', 'd')).toEqual(['tok.1', 4]);
      expect(await behind('next', 'e')).toEqual(['tok.1', 5]);
    });

    it('G6 a log whose head was dropped remembers no id of the events that went with it', async () => {
      const name = channel();
      await identified(name, ['a', 'b']);
      await kit.admin.del(kit.keys.head(name));
      expect(await identified(name, ['a'])).toEqual(['tok.1', 1]);
      expect(await identified(name, ['a', 'b'])).toEqual(['tok.1', 2, '1 tok.1', 2]);
    });
  });

  describe('read', () => {
    const read = (
      name: string,
      from: number,
      change: { epoch?: string; until?: number; limit?: number; reverse?: number; bytes?: number } = {},
    ) =>
      run(READ, log(name).slice(0, 2), [
        'r',
        90_000,
        change.epoch ?? '',
        from,
        change.until ?? '',
        change.limit ?? 100,
        change.reverse ?? 0,
        change.bytes ?? 1_000_000,
      ]);
    /** First `seq` of each record that was answered. */
    const firsts = (reply: readonly (string | number)[]) =>
      reply.slice(4).filter((_, index) => index % 3 === 0);

    it('G8 is bounded in bytes, and makes progress whatever the bound', async () => {
      const name = channel();
      const body = JSON.stringify({ i: 'x'.repeat(100) });
      for (let count = 0; count < 10; count += 1) await plain(name, [body]);
      expect(firsts(await read(name, 1, { bytes: 250 }))).toEqual([1, 2, 3]);
      expect(firsts(await read(name, 4, { bytes: 1 }))).toEqual([4]);
      expect(firsts(await read(name, 1, { bytes: 250, reverse: 1 }))).toEqual([10, 9, 8]);
    });

    it('P5 answers with the records that hold what was asked for, and no others', async () => {
      const name = channel();
      for (const count of [1, 4, 1, 3]) await plain(name, times(count, '{"i":"x"}'));
      // Records 1 · 2–5 · 6 · 7–9.
      expect(firsts(await read(name, 3, { until: 6 }))).toEqual([2, 6]);
      expect(firsts(await read(name, 3, { until: 4 }))).toEqual([2]);
      expect(firsts(await read(name, 2, { until: 8, reverse: 1 }))).toEqual([7, 6, 2]);
      expect(firsts(await read(name, 3, { until: 4, reverse: 1 }))).toEqual([2]);
      expect(firsts(await read(name, 4, { limit: 3 }))).toEqual([2, 6]);
      expect(firsts(await read(name, 1, { until: 9, limit: 4, reverse: 1 }))).toEqual([7, 6]);
      expect(firsts(await read(name, 10))).toEqual([]);
    });

    it('P11 finds the border of age among many events', async () => {
      const name = channel();
      const newest = Date.now();
      await plain(name, ['{}']);
      const [head, stream] = [kit.keys.head(name), kit.keys.stream(name)];
      await kit.admin.del(stream);
      const pipeline = kit.admin.pipeline();
      // Records of three events, so far apart that the test does not take as long.
      for (let seq = 3; seq <= 600; seq += 3)
        pipeline.xadd(stream, `${seq}-3`, 't', String(newest - (200 - seq / 3) * 100_000), 'b', '[{},{},{}]');
      await pipeline.exec();
      await kit.admin.hset(head, 's', 600, 't', 10_050_000, 'z', 10_000);
      const oldest = Number((await read(name, 1, { limit: 1_000 }))[3]);
      expect(oldest % 3).toBe(1);
      expect(oldest).toBeGreaterThanOrEqual(295);
      expect(oldest).toBeLessThanOrEqual(304);
      expect(await kit.admin.xlen(stream)).toBe((601 - oldest) / 3);
    });

    it('G6 proves the incarnation itself: a read alone begins the epoch', async () => {
      const name = channel();
      await plain(name, ['{}']);
      await kit.admin.hset(kit.keys.head(name), 'i', 'another');
      expect(await read(name, 2, { epoch: 'tok.1' })).toEqual(['r', 1, 1, 1]);
      expect(await kit.admin.hget(kit.keys.head(name), 'f')).toBe('tok.1:1');
    });
  });

  describe('presence', () => {
    const step = (kind: string, member: string, ms: number, generation = 1): Argument[] => [
      kind,
      member,
      `d-${member}`,
      generation,
      0,
      '',
      ms,
    ];
    const presence = (name: string, steps: readonly Argument[][]) =>
      run(PRESENCE, kit.keys.room(name), ['tok', 90_000, name, steps.length, ...steps.flat()]);

    it('G19 many steps are one version; a leave and a return are two', async () => {
      const name = channel();
      expect(await presence(name, [step('e', 'a', 9_000), step('e', 'b', 9_000)])).toBe(1);
      expect(await presence(name, [step('l', 'a', 0), step('e', 'a', 9_000)])).toBe(3);
      expect(await presence(name, [step('e', 'c', 9_000), step('l', 'c', 0)])).toBe(3);
    });

    it('G19 a channel with an ended lease is due, once, and not after it was swept', async () => {
      const name = channel();
      await presence(name, [step('e', 'a', 1)]);
      await elapse(10);
      const due = [kit.keys.due(kit.keys.partitionOf(name))];
      expect(await run(DUE, due, [50])).toContain(name);
      const versions = await Promise.all([presence(name, []), presence(name, []), presence(name, [])]);
      expect(versions).toEqual([2, 2, 2]);
      expect(await run(DUE, due, [50])).not.toContain(name);
    });

    /** How often the server ran each command meanwhile, those of scripts included. */
    async function commandsOf(work: () => Promise<unknown>): Promise<Readonly<Record<string, number>>> {
      await kit.admin.config('RESETSTAT');
      await work();
      const stats = await kit.admin.info('commandstats');
      const calls = [...stats.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)];
      return Object.fromEntries(
        calls
          .map(([, command = '', count]) => [command, Number(count)] as const)
          .filter(([command]) => command !== 'config|resetstat'),
      );
    }

    it('P22a G19 who comes and goes costs the server as much in a large channel as in a small one', async () => {
      const [small, large] = [channel(), channel()];
      const fill = async (name: string, count: number): Promise<void> => {
        for (let at = 0; at < count; at += 500) {
          const names = Array.from({ length: Math.min(500, count - at) }, (_, index) => `u${at + index}`);
          await presence(
            name,
            names.map((member) => step('e', member, 90_000)),
          );
        }
      };
      await fill(small, 150);
      await fill(large, 20_000);
      const cost = (name: string) =>
        commandsOf(async () => {
          await presence(name, [step('e', 'new', 90_000)]);
          await presence(name, [step('r', 'u1', 90_000)]);
          await presence(name, [step('l', 'u2', 0)]);
          await run(MEMBERS, kit.keys.room(name), ['tok', 90_000, name, 0, 100]);
        });
      const few = await cost(small);
      expect(few).toMatchObject({ spublish: 2, eval: 4 });
      expect(await cost(large)).toEqual(few);
      // One call of these would count once, and read everybody.
      const everybody = ['hgetall', 'hkeys', 'hvals', 'hscan', 'zscan', 'smembers', 'keys', 'scan'];
      expect(Object.keys(few).filter((command) => everybody.includes(command))).toEqual([]);
    });

    it('P22a a diff says how many there are after it, and only who changed', async () => {
      const name = channel();
      const listener = kit.admin.duplicate();
      listener.on('error', () => undefined);
      const messages: string[] = [];
      listener.on('smessage', (_topic: string, text: string) => messages.push(text));
      await listener.ssubscribe(kit.keys.topic(name));
      await presence(name, [step('e', 'a', 9_000), step('e', 'b', 9_000)]);
      await presence(name, [step('l', 'a', 0)]);
      await listener.ping();
      listener.disconnect();
      expect(messages.map((text) => text.slice(0, 2))).toEqual(['1p', '1p']);
      expect(messages.map((text) => JSON.parse(text.slice(2)) as unknown)).toMatchObject([
        { join: [{ id: 'a' }, { id: 'b' }], leave: [], count: 2 },
        { join: [], leave: ['a'], count: 1 },
      ]);
    });
  });

  it('G11 control keeps bans in the step that orders them, and names only nodes that live', async () => {
    const { keys } = kit;
    await run(HEARTBEAT, beatKeys(), beat('alive', '4'));
    await kit.admin.zadd(keys.nodes, 1, 'dead');
    const all = [...log('$rt.control'), keys.bans, keys.nodes];
    const ban = (json: string) => run(CONTROL, all, ['tok', 90_000, '{"i":"x"}', 100, 60_000, 'u1', json]);
    expect(await ban('{"user":"u1"}')).toEqual(['alive']);
    expect(await kit.admin.hgetall(keys.bans)).toEqual({ u1: '{"user":"u1"}' });
    await ban('');
    expect(await kit.admin.exists(keys.bans)).toBe(0);
  });

  it('a heartbeat does not count a node that divides the channels otherwise', async () => {
    await run(HEARTBEAT, beatKeys(), beat('right', '4'));
    expect(await run(HEARTBEAT, beatKeys(), beat('wrong', '8'))).toEqual(['1', '4']);
    expect(await kit.admin.zscore(kit.keys.nodes, 'wrong')).toBeNull();
  });

  it('a heartbeat does not count a node of another layout, and takes what was added to its own for the same', async () => {
    const { admin, keys } = kit;
    await admin.flushall();
    await admin.set(keys.layout, '1.3');
    expect((await run(HEARTBEAT, beatKeys(), beat('same', '4'))).slice(0, 2)).toEqual(['1.3', '4']);
    for (const other of ['2', '12', '0.1', 'x']) {
      await admin.set(keys.layout, other);
      expect(await run(HEARTBEAT, beatKeys(), beat('other', '4'))).toEqual([other]);
      expect(await admin.get(keys.layout)).toBe(other);
    }
    expect(await admin.zrange(keys.nodes, '0', '-1')).toEqual(['same']);
  });

  it('G11 a heartbeat tells where the control records end, under the epoch that every reader sees', async () => {
    const { keys } = kit;
    await kit.admin.flushall();
    const control = log('$rt.control');
    const tell = () => run(HEARTBEAT, beatKeys(), beat('one', '4'));
    expect(await tell()).toEqual(['1', '4', 'tok', 0]);
    await run(CONTROL, [...control, keys.bans, keys.nodes], ['x', 90_000, '[]', 100, 60_000, '', '']);
    expect(await tell()).toEqual(['1', '4', 'tok', 1]);
    expect(await run(TIPS, control.slice(0, 2), ['y', 90_000])).toEqual(['tok', 1]);
  });

  it('every script declares the keys that it writes: all of one slot', () => {
    for (const name of ['a.b', 'a.b{x}', '}{a.b']) {
      const tags = [...withIds(name), ...kit.keys.room(name)].map((key) => /\{([^}]*)\}/.exec(key)?.[1]);
      expect([...new Set(tags)]).toEqual([`${kit.prefix}:${kit.keys.partitionOf(name)}`]);
    }
  });
});
