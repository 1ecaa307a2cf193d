import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { APPEND } from '../../lib/brokers/redis/scripts/append.js';
import { READ } from '../../lib/brokers/redis/scripts/read.js';
import { TIPS } from '../../lib/brokers/redis/scripts/tips.js';
import { elapse, stretched } from '../support/patience.js';
import { RedisKit } from './kit.js';
import { POLICY, recordOf, scriptCalls, sizesOf, times, WIDE, type Argument } from './script-calls.js';

describe('the script that appends, on a real server', () => {
  let kit: RedisKit;
  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterAll(() => kit.dispose());

  const { now, channel, run, withIds, tipKeys, readKeys, append, plain, identified } = scriptCalls(() => kit);

  describe('append', () => {
    it('answers each event with its seq, duplicate, conflict or out of order (P15, P16)', async () => {
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

    it('answers with the first seq only when all events were appended, in every form (P15)', async () => {
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

    it('leaves an event that was not appended out of the record and the message (P15)', async () => {
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

    it('continues a log in its next section, and keeps logs separate (P10)', async () => {
      const [one, other] = [channel(), channel()];
      const section = [1, 2, 0, '', ...sizesOf(2), recordOf(['{}', '{}'])];
      const out = await run(
        APPEND,
        [...withIds(one), ...withIds(other), ...withIds(one)],
        ['tok', 0, 1, 3, ...POLICY, ...WIDE, ...section, ...section, ...section],
      );
      const epoch = expect.stringMatching(/^tok\.[0-9a-f]{10}$/);
      expect(out).toEqual([
        [epoch, 1],
        [epoch, 1],
        [epoch, 3],
      ]);
    });

    it('fails as a whole where the server refuses every write: the client looks for another master (G21)', async () => {
      const section = [...POLICY, ...WIDE, 1, 1, 0, '', ...sizesOf(1), recordOf(['{}'])];
      await kit.admin.call('REPLICAOF', '127.0.0.1', '1');
      try {
        await expect(run(APPEND, withIds(channel()), ['tok', 0, 1, 1, ...section])).rejects.toThrow(
          /^READONLY/,
        );
      } finally {
        await kit.admin.call('REPLICAOF', 'NO', 'ONE');
      }
    });

    it('what is wrong with one log fails alone, and is unknown where something was written before (G21)', async () => {
      const [spoiled, begun, good] = [channel(), channel(), channel()];
      for (const name of [spoiled, begun]) await identified(name, ['a']);
      await kit.admin.set(kit.keys.stream(spoiled), 'text');
      // Nobody looks into the hash before it is written: all its ids have ended.
      await kit.admin.hset(kit.keys.head(begun), 'n', 0, 'p', (await now()) + 60_000);
      await kit.admin.set(kit.keys.of(begun).ids[0], 'text');
      const section = (id: string) => [1, 1, 1, '', ...sizesOf(1), recordOf(['{}']), id, `tok.1-0 f`];
      const names = [spoiled, begun, good];
      const args = ['tok', 0, 1, names.length, ...POLICY, ...WIDE, ...names.flatMap(() => section('b'))];
      const out = await run(APPEND, names.flatMap(withIds), args);
      expect(out).toEqual([
        ['', expect.stringMatching(/^WRONGTYPE/), 0],
        ['', expect.stringMatching(/^WRONGTYPE/), 1],
        [expect.stringMatching(/^tok\./), 1],
      ]);
    });

    it('keeps no more events than the limit, but for the rest of a record (P10)', async () => {
      const name = channel();
      const policy = [1, 7, 60_000, 0, 90_000];
      await plain(name, times(300, '{"i":"x"}'), policy);
      expect((await run(READ, readKeys(name), ['r', 90_000, '', 1, '', 100, 0, 1_000_000]))[3]).toBe(294);
      for (let count = 0; count < 1_000; count += 1) await plain(name, ['{"i":"x"}'], policy);
      expect((await run(READ, readKeys(name), ['r', 90_000, '', 1, '', 100, 0, 1_000_000]))[3]).toBe(1_294);
      expect(await kit.admin.xlen(kit.keys.stream(name))).toBeLessThanOrEqual(7 + 100);
    });

    it('sets an expiry on every key that it writes, the latest on the head (P10)', async () => {
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

    it('never shortens the expiry of a key, whatever policies follow one another (P10)', async () => {
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

    it('`touch` writes even if everything was a duplicate, so that WAIT waits for the replicas (G1)', async () => {
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

    it('`touch` never shortens the life of a head (G6)', async () => {
      const name = channel();
      const head = kit.keys.head(name);
      await append(name, ['a'], [[1, 0, 'f', '{}']], [1, 100, 60_000, 10_000, 900_000]);
      const before = await kit.admin.pttl(head);
      await append(name, ['a'], [[1, 0, 'f', '{}']], undefined, 1);
      expect(await kit.admin.pttl(head)).toBeGreaterThan(before - 60_000);
    });

    it('keeps at most eight forks, each cut to the tip (G6)', async () => {
      const name = channel();
      await append(name, [], [[0, 0, 'f', '{}']]);
      const forks = Array.from({ length: 8 }, (_, index) => `e${index}:${index * 10}`).join(',');
      await kit.admin.hset(kit.keys.head(name), 'i', 'another', 'f', forks, 's', 25, 'e', 'mine');
      const [epoch, seq] = await run(TIPS, tipKeys(name), ['new', 90_000]);
      expect([epoch, seq]).toEqual([expect.stringMatching(/^mine~1\.[0-9a-f]{10}$/), 25]);
      expect(await kit.admin.hget(kit.keys.head(name), 'f')).toBe(
        'e1:10,e2:20,e3:25,e4:25,e5:25,e6:25,e7:25,mine:25',
      );
    });
  });

  describe('remembered ids', () => {
    const SHORT = [1, 100, 60_000, 200, 90_000];

    it('ids are dropped in bulk, so that there are never more than two windows of them (P15)', async () => {
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

    it('ids are recognized from the older hash until they expire, and no longer (P15)', async () => {
      const name = channel();
      await inBothHashes(name);
      expect(await identified(name, ['long', 'next'], POLICY)).toEqual(['tok.1', 4, '2 tok.1', '3 tok.1']);
      expect(await identified(name, ['brief'], POLICY)).toEqual(['tok.1', 4]);
      expect(await identified(name, ['brief'], POLICY)).toEqual(['tok.1', 5, '4 tok.1']);
    });

    it('ids keep their own window when a later publish has a longer one (P15)', async () => {
      const name = channel();
      await identified(name, ['short'], SHORT);
      await identified(name, ['long'], POLICY);
      await elapse(220);
      expect(await identified(name, ['short', 'long'], POLICY)).toEqual(['tok.1', 3, 3, '2 tok.1']);
      const ends = await Promise.all(kit.keys.of(name).ids.map((hash) => kit.admin.pttl(hash)));
      expect(Math.max(...ends)).toBeGreaterThan(9_000);
    });

    it('ids are found in both hashes for `after` (P16)', async () => {
      const name = channel();
      await inBothHashes(name);
      const behind = (after: string, id: string) => append(name, [after, id], [[2, 1, `f-${id}`, '{}']]);
      expect(await behind('brief', 'd')).toEqual(['tok.1', 4, 'o']);
      expect(await behind('long', 'd')).toEqual(['tok.1', 4]);
      expect(await behind('next', 'e')).toEqual(['tok.1', 5]);
    });

    it('an id that comes alone takes no more than its own place, and is recognized under its own seq (P15)', async () => {
      const name = channel();
      for (const id of ['a', 'b', 'c']) await identified(name, [id]);
      await plain(name, ['{}']);
      await append(name, ['d'], [[0, 0, 'f', '{}'], [1, 0, 'f-d', '{}']]); // prettier-ignore
      const fields = await kit.admin.hkeys(kit.keys.of(name).ids[0]);
      expect(fields.filter((field) => field.startsWith('='))).toHaveLength(1);
      expect(fields).toHaveLength(5);
      const known = ['1 tok.1', '2 tok.1', '3 tok.1', '6 tok.1'];
      expect(await identified(name, ['a', 'b', 'c', 'd'])).toEqual(['tok.1', 7, ...known]);
      expect(await identified(name, ['b'])).toEqual(['tok.1', 7, '2 tok.1']);
      const other = ['2-conflict'];
      expect(await append(name, ['b', ...other], [[1, 0, 'other', '{}']])).toEqual(['tok.1', 7, 'c']);
    });

    it('an id that comes alone joins no section of a longer window, of another epoch, or that was lost (P15, G6)', async () => {
      const name = channel();
      const hash = kit.keys.of(name).ids[0];
      const sections = async () => (await kit.admin.hkeys(hash)).filter((field) => field.startsWith('='));
      await identified(name, ['a'], POLICY);
      await identified(name, ['b'], [1, 100, 60_000, 5_000, 90_000]);
      expect(await sections()).toHaveLength(2);
      await identified(name, ['c'], POLICY);
      expect(await sections()).toHaveLength(3);
      await kit.admin.call('DEBUG', 'CHANGE-REPL-ID');
      const [epoch, seq] = await identified(name, ['d'], POLICY);
      expect([epoch, seq]).toEqual([expect.stringMatching(/^tok\.1~1\./), 4]);
      expect(await sections()).toHaveLength(4);
      expect(await identified(name, ['c', 'd'])).toEqual([epoch, 5, '3 tok.1', `4 ${epoch}`]);
      await kit.admin.del(hash);
      await identified(name, ['e'], POLICY);
      expect(await identified(name, ['e'], POLICY)).toEqual([epoch, 6, `5 ${epoch}`]);
    });

    it('few ids stay in the compact form of a hash, and a section of many does not (P15)', async () => {
      const [few, many] = [channel(), channel()];
      await identified(few, times(16, 'a').map((id, index) => id + index)); // prettier-ignore
      await identified(many, times(17, 'a').map((id, index) => id + index)); // prettier-ignore
      const forms = [few, many].map((name) => kit.admin.object('ENCODING', kit.keys.of(name).ids[0]));
      expect(await Promise.all(forms)).toEqual(['listpack', 'hashtable']);
    });

    it('a channel of ten events with ids takes at most 4 KB (P15)', async () => {
      const name = channel();
      const keys = [kit.keys.head(name), kit.keys.stream(name), ...kit.keys.of(name).ids];
      const bytes = async () => {
        const each = await Promise.all(keys.map((key) => kit.admin.memory('USAGE', key)));
        return each.reduce<number>((sum, one) => sum + (one ?? 0), 0);
      };
      for (const id of times(10, 'an-id-as-they-are-').map((text, index) => text + index))
        await identified(name, [id]);
      expect(await bytes()).toBeLessThanOrEqual(4_096);
      // Also where the events were dropped, and others follow while ids are remembered.
      await kit.admin.del(kit.keys.stream(name));
      await kit.admin.hset(kit.keys.head(name), 'y', 1, 'p', 1);
      expect((await identified(name, ['next']))[1]).toBe(11);
      expect(await kit.admin.memory('USAGE', kit.keys.stream(name))).toBeLessThan(1_500);
      expect((await run(READ, readKeys(name), ['r', 90_000, '', 11, '', 100, 0, 1_000]))[5]).toBe(11);
      expect(await identified(name, ['next', 'an-id-as-they-are-9'])).toEqual([
        'tok.1',
        12,
        '11 tok.1',
        '10 tok.1',
      ]);
    });

    it('the hash that is used for a copy of the events holds no id that counts (P15)', async () => {
      const name = channel();
      const long = [1, 100, 1_000, 60_000, 90_000];
      await identified(name, ['a'], [1, 100, 1_000, stretched(50), 90_000]);
      await elapse(stretched(60));
      await identified(name, ['b'], long);
      // Both hashes are in use, and the events end before the ids do.
      await kit.admin.hset(kit.keys.head(name), 'p', (await now()) + 60_000, 'y', 1);
      await kit.admin.del(kit.keys.stream(name));
      const [first, second] = kit.keys.of(name).ids;
      await kit.admin.hset(first, '1:uheld', 'claim-0 f');
      const before = await Promise.all([kit.admin.hlen(first), kit.admin.hlen(second)]);
      await plain(name, ['{}'], long);
      expect(await Promise.all([kit.admin.hlen(first), kit.admin.hlen(second)])).toEqual(before);
      expect(await identified(name, ['b'], long)).toEqual(['tok.1', 4, '2 tok.1']);
    });

    it('ids are forgotten with the events of a log whose head was dropped (G6)', async () => {
      const name = channel();
      await identified(name, ['a', 'b']);
      await kit.admin.del(kit.keys.head(name));
      const [epoch, seq] = await identified(name, ['a']);
      expect([epoch, seq]).toEqual([expect.stringMatching(/^call\d+\.1$/), 1]);
      expect(await identified(name, ['a', 'b'])).toEqual([epoch, 2, `1 ${epoch}`, 2]);
    });
  });
});
