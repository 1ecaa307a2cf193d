import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  APPEND,
  CONTROL,
  DUE,
  HEARTBEAT,
  MEMBERS,
  PRESENCE,
  READ,
  TIPS,
} from '../../../../lib/brokers/redis/scripts/index.js';
import type { RedisScript } from '../../../../lib/brokers/redis/scripts/index.js';
import { RedisKit } from './redis.kit.js';

type Argument = string | number;

describe('the scripts, on a real server', () => {
  let kit: RedisKit;
  let counter = 0;

  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterAll(() => kit.dispose());

  const channel = () => `rooms.${(counter += 1)}`;
  const run = (script: RedisScript, keys: readonly string[], args: readonly Argument[]) =>
    kit.admin.eval(script.text, keys.length, ...keys, ...args) as Promise<(string | number)[]>;
  const log = (name: string) => [kit.keys.head(name), kit.keys.stream(name), kit.keys.topic(name)];

  /** One log, one policy; items are `[id key, after key, fingerprint, body]`, 1-based in `ids`. */
  const append = (
    name: string,
    ids: readonly string[],
    items: readonly (readonly [number, number, string, string])[],
    policy: readonly Argument[] = [1, 100, 60_000, 10_000, 90_000],
    touch = 0,
  ) =>
    run(
      APPEND,
      [...log(name), ...ids],
      ['tok', 1, 1, items.length, touch, ...policy, ...items.flatMap((item) => [1, 1, ...item])],
    );

  describe('append', () => {
    it('P15 P16 answers each item: seq, duplicate, conflict, out of order', async () => {
      const name = channel();
      const ids = ['a', 'b', 'never'].map((id) => kit.keys.id(name, 'u', id));
      const out = await append(name, ids, [
        [1, 0, 'fa', '{}'],
        [2, 1, 'fb', '{}'],
        [1, 0, 'fa', '{}'],
        [1, 0, 'other', '{}'],
        [0, 3, 'fc', '{}'],
      ]);
      expect(out).toEqual([1, 2, '1 tok.1', 'c', 'o', 'tok.1']);
    });

    it('P10 stores ids that are seqs, and bounds the stream exactly', async () => {
      const name = channel();
      const items = Array.from({ length: 300 }, () => [0, 0, 'f', '{"i":"x"}'] as const);
      await append(name, [], items, [1, 7, 60_000, 0, 90_000]);
      const kept = await kit.admin.xrange(kit.keys.stream(name), '-', '+');
      expect(kept.map(([id]) => id)).toEqual([294, 295, 296, 297, 298, 299, 300].map((seq) => `${seq}-0`));
    });

    it('P10 everything it writes ends by itself, the head last', async () => {
      const name = channel();
      const id = kit.keys.id(name, 'u', 'a');
      await append(name, [id], [[1, 0, 'f', '{}']]);
      const ends = await Promise.all(
        [id, kit.keys.stream(name), kit.keys.head(name)].map((key) => kit.admin.pttl(key)),
      );
      expect(ends[0]).toBeGreaterThan(9_000);
      expect(ends[0]).toBeLessThanOrEqual(10_000);
      expect(ends[1]).toBeLessThanOrEqual(60_000);
      expect(ends[2]).toBeGreaterThan(ends[1] ?? Infinity);
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
      expect(messages[0]).toMatch(/^1etok\.1 1 \d{13}\n\[\{"i":"a"\},\{"i":"b"\}\]$/);
    });

    it('G1 `touch` writes although everything was a duplicate, so that WAIT has something to wait for', async () => {
      const name = channel();
      const ids = [kit.keys.id(name, 'u', 'a')];
      const head = kit.keys.head(name);
      await append(name, ids, [[1, 0, 'f', '{}']]);
      await kit.admin.pexpire(head, 1_000);
      await append(name, ids, [[1, 0, 'f', '{}']]);
      expect(await kit.admin.pttl(head)).toBeLessThanOrEqual(1_000);
      await append(name, ids, [[1, 0, 'f', '{}']], undefined, 1);
      expect(await kit.admin.pttl(head)).toBeGreaterThan(80_000);
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
    const seqs = (reply: readonly (string | number)[]) =>
      reply.slice(4).filter((_, index) => index % 3 === 0);

    it('G8 is bounded in bytes, and makes progress whatever the bound', async () => {
      const name = channel();
      const body = JSON.stringify({ i: 'x'.repeat(100) });
      await append(
        name,
        [],
        Array.from({ length: 10 }, () => [0, 0, 'f', body] as const),
      );
      expect(seqs(await read(name, 1, { bytes: 250 }))).toEqual([1, 2, 3]);
      expect(seqs(await read(name, 4, { bytes: 1 }))).toEqual([4]);
      expect(seqs(await read(name, 1, { bytes: 250, reverse: 1 }))).toEqual([10, 9, 8]);
    });

    it('P11 finds the border of age among many events', async () => {
      const name = channel();
      const now = Date.now();
      await append(name, [], [[0, 0, 'f', '{}']]);
      const [head, stream] = [kit.keys.head(name), kit.keys.stream(name)];
      await kit.admin.del(stream);
      const pipeline = kit.admin.pipeline();
      for (let seq = 1; seq <= 500; seq += 1)
        pipeline.xadd(stream, `${seq}-0`, 't', String(now - (500 - seq) * 1_000), 'b', '{}');
      await pipeline.exec();
      await kit.admin.hset(head, 's', 500, 't', 100_500);
      const reply = await read(name, 1, { limit: 500 });
      expect(Number(reply[3])).toBeGreaterThanOrEqual(400);
      expect(Number(reply[3])).toBeLessThanOrEqual(402);
      expect(await kit.admin.xlen(stream)).toBe(501 - Number(reply[3]));
    });

    it('G6 proves the incarnation itself: a read alone begins the epoch', async () => {
      const name = channel();
      await append(name, [], [[0, 0, 'f', '{}']]);
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
      await new Promise((resolve) => setTimeout(resolve, 10));
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
    await run(HEARTBEAT, [keys.nodes, keys.meta], ['alive', 10_000, '4']);
    await kit.admin.zadd(keys.nodes, 1, 'dead');
    const all = [...log('$rt.control'), keys.bans, keys.nodes];
    const ban = (json: string) => run(CONTROL, all, ['tok', 90_000, '{"i":"x"}', 100, 60_000, 'u1', json]);
    expect(await ban('{"user":"u1"}')).toEqual(['alive']);
    expect(await kit.admin.hgetall(keys.bans)).toEqual({ u1: '{"user":"u1"}' });
    await ban('');
    expect(await kit.admin.exists(keys.bans)).toBe(0);
  });

  it('a heartbeat does not count a node that divides the channels otherwise', async () => {
    const keys = [kit.keys.nodes, kit.keys.meta];
    await run(HEARTBEAT, keys, ['right', 10_000, '4']);
    expect((await run(HEARTBEAT, keys, ['wrong', 10_000, '8']))[0]).toBe('4');
    expect(await kit.admin.zscore(kit.keys.nodes, 'wrong')).toBeNull();
  });

  it('every script declares the keys that it writes: all of one slot', () => {
    const tags = new Set(
      [...log('a.b'), kit.keys.id('a.b', '{x}', '}{'), ...kit.keys.room('a.b')].map(
        (key) => /\{([^}]*)\}/.exec(key)?.[1],
      ),
    );
    expect([...tags]).toEqual([`${kit.prefix}:${kit.keys.partitionOf('a.b')}`]);
  });
});
