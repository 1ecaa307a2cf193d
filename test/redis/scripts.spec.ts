import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { until } from '../support/until.js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CONTROL } from '../../lib/brokers/redis/scripts/control.js';
import { DUE } from '../../lib/brokers/redis/scripts/due.js';
import { HEARTBEAT } from '../../lib/brokers/redis/scripts/heartbeat.js';
import { MEMBERS } from '../../lib/brokers/redis/scripts/members.js';
import { PRESENCE } from '../../lib/brokers/redis/scripts/presence.js';
import { READ } from '../../lib/brokers/redis/scripts/read.js';
import { TIPS } from '../../lib/brokers/redis/scripts/tips.js';
import { elapse } from '../support/patience.js';
import { RedisProcess } from '../support/redis/process.js';
import { synced } from '../support/redis/sentinels.js';
import { RedisKit } from './kit.js';
import { scriptCalls, times, type Argument } from './script-calls.js';

/** What the control script is given of a record. */
const RECORD = ['tok', 90_000, '{"i":"x"}', 100, 60_000];

describe('the Lua scripts on a real server', () => {
  let kit: RedisKit;
  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterAll(() => kit.dispose());

  const { channel, run, log, withIds, tipKeys, readKeys, plain } = scriptCalls(() => kit);
  const beat = (node: string, partitions: string) => [1, node, 10_000, partitions, 'tok', 90_000];
  const beatKeys = () => [
    ...[kit.keys.layout, kit.keys.nodes, kit.keys.meta],
    ...log('$rt.control').slice(0, 2),
  ];

  describe('read', () => {
    const read = (
      name: string,
      from: number,
      change: { epoch?: string; until?: number; limit?: number; reverse?: number; bytes?: number } = {},
    ) =>
      run(READ, readKeys(name), [
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
      reply.slice(5).filter((_, index) => index % 3 === 0);

    it('a read ends before the record that does not fit, and returns at least one record (G8)', async () => {
      const name = channel();
      const body = JSON.stringify({ i: 'x'.repeat(100) });
      for (let count = 0; count < 10; count += 1) await plain(name, [body]);
      expect(firsts(await read(name, 1, { bytes: 250 }))).toEqual([1, 2]);
      expect(firsts(await read(name, 4, { bytes: 1 }))).toEqual([4]);
      expect(firsts(await read(name, 1, { bytes: 250, reverse: 1 }))).toEqual([10, 9]);
    });

    it('a read returns the records that contain the requested range, and no others (P5)', async () => {
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

    it('a read finds the age limit among many events (P11)', async () => {
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

    it('a read checks the incarnation itself: it alone starts the epoch (G6)', async () => {
      const name = channel();
      await plain(name, ['{}']);
      await kit.admin.hset(kit.keys.head(name), 'i', 'another');
      const reply = await read(name, 2, { epoch: 'tok.1' });
      expect(reply).toEqual([expect.stringMatching(/^tok\.1~1\.[0-9a-f]{10}$/), 1, 1, 1, expect.any(Number)]);
      expect(await kit.admin.hmget(kit.keys.head(name), 'e', 'f')).toEqual([reply[0], 'tok.1:1']);
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
      run(PRESENCE, kit.keys.room(name), ['tok', 90_000, name, 1, steps.length, ...steps.flat()]);

    it('many steps in one call are one version; a leave and a return are two (G19)', async () => {
      const name = channel();
      expect(await presence(name, [step('e', 'a', 9_000), step('e', 'b', 9_000)])).toBe(1);
      expect(await presence(name, [step('l', 'a', 0), step('e', 'a', 9_000)])).toBe(3);
      expect(await presence(name, [step('e', 'c', 9_000), step('l', 'c', 0)])).toBe(3);
    });

    it('a channel with an expired lease is due until it is swept (G19)', async () => {
      const name = channel();
      await presence(name, [step('e', 'a', 1)]);
      await elapse(10);
      const due = [kit.keys.due(kit.keys.partitionOf(name))];
      expect(await run(DUE, [...due, 'none'], [50])).toEqual([[1, 0], [name]]);
      const versions = await Promise.all([presence(name, []), presence(name, []), presence(name, [])]);
      expect(versions).toEqual([2, 2, 2]);
      expect(await run(DUE, due, [50])).toEqual([[0], []]);
      await presence(name, [step('e', 'a', 60_000)]);
      expect(await run(DUE, due, [50])).toEqual([[1], []]);
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

    it('joins and leaves cost the server the same in a large and in a small channel (P22a, G19)', async () => {
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
          await run(MEMBERS, kit.keys.room(name), ['tok', 90_000, name, 1, 0, 100, 1_000_000]);
        });
      const few = await cost(small);
      expect(few).toMatchObject({ spublish: 2, eval: 4 });
      expect(await cost(large)).toEqual(few);
      // One call of these would count once, and read everybody.
      const everybody = ['hgetall', 'hkeys', 'hvals', 'hscan', 'zscan', 'smembers', 'keys', 'scan'];
      expect(Object.keys(few).filter((command) => everybody.includes(command))).toEqual([]);
    });

    it('a diff contains only the changes, and the number of members after it (P22a)', async () => {
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

  it('the control script stores a ban together with its order, and names only live nodes (G11)', async () => {
    const { keys } = kit;
    await run(HEARTBEAT, beatKeys(), beat('alive', '4'));
    await kit.admin.zadd(keys.nodes, 1, 'dead');
    const all = [...log('$rt.control'), keys.nodes, ...keys.keptOf('people')];
    const ban = (json: string, forMs: number | '' = '') =>
      run(CONTROL, all, [...RECORD, 'ban user  u1', json, forMs, 100, 1e9, 'people']);
    expect(await ban('{"user":"u1"}')).toEqual(['tok', ['alive']]);
    expect(await kit.admin.hgetall(keys.bans)).toEqual({ u1: ' {"user":"u1"}' });
    // Its end is one of the server's own clock.
    const before = Number((await kit.admin.time())[0]) * 1_000;
    await ban('{"user":"u1"}', 5_000_000);
    const [end, json] = ((await kit.admin.hget(keys.bans, 'u1')) ?? '').split(' ');
    expect(json).toBe('{"user":"u1"}');
    expect(Number(end)).toBeGreaterThanOrEqual(before + 5_000_000);
    expect(Number(end)).toBeLessThan(before + 6_000_000);
    await ban('');
    expect(await kit.admin.exists(keys.bans)).toBe(0);
  });

  it('the control script drops restrictions that have ended, and above the bound those that end first (G30)', async () => {
    const { keys, admin } = kit;
    const [ends, weight] = keys.restrictionsOf('people');
    const all = [...log('$rt.control'), keys.nodes, ...keys.keptOf('people')];
    const put = (field: string, json: string, forMs: number | '' = '', most = 100, mostBytes = 1e9) =>
      run(CONTROL, all, [...RECORD, field, json, forMs, most, mostBytes, 'people']);
    const bytes = async () => Number(await admin.get(weight));
    const left = async () => [
      (await admin.hkeys(keys.restrictions)).sort(),
      (await admin.zrange(ends, '0', '-1')).sort(),
    ];
    await put('over', '{}', 1);
    const { admin: server } = kit;
    const end = Number(await server.zscore(ends, 'over'));
    await until('its end', async () => {
      const [seconds, micros] = await server.time();
      return Number(seconds) * 1_000 + Number(micros) / 1_000 > end + 1;
    });
    await put('forever', '{}');
    expect(await left()).toEqual([['forever'], ['forever']]);
    await put('long', '{}', 900_000);
    await put('short', '{}', 100_000);
    await put('middle', '{}', 500_000, 3);
    expect(await left()).toEqual([
      ['forever', 'long', 'middle'],
      ['forever', 'long', 'middle'],
    ]);
    await put('long', '');
    expect(await left()).toEqual([
      ['forever', 'middle'],
      ['forever', 'middle'],
    ]);
    // What it has for a ban stays in the form that the last version reads.
    expect(await admin.hget(keys.restrictions, 'forever')).toBe(' {}');
    const two = await bytes();
    await put('middle', JSON.stringify({ reason: 'x'.repeat(1_000) }), 500_000);
    expect((await bytes()) - two).toBe(1_000 + '"reason":""'.length);
    await put('last', '{}', 800_000, 100, two + 300);
    expect((await left())[0]).toEqual(['forever', 'last']);
    expect(await bytes()).toBeLessThanOrEqual(two + 300);
    await put('forever', '');
    await put('last', '');
    expect([await bytes(), await left()]).toEqual([0, [[], []]]);
    // One that was stored by an older version is in the table, and was not counted.
    await admin.hset(keys.restrictions, 'older', ` ${'x'.repeat(5_000)}`);
    await admin.zadd(ends, 'inf', 'older');
    await put('older', '');
    expect(await bytes()).toBe(0);
  });

  it('the control script gives what is put against spam room of its own, and never replaces what people put for longer (G30)', async () => {
    const { keys, admin } = kit;
    const owners = ['people', 'spam'] as const;
    const of = owners.map((owner) => keys.restrictionsOf(owner));
    const put = (at: 0 | 1, field: string, json: string, forMs: number | '' = '', most = 3) => {
      const owner = owners[at];
      const all = [...log('$rt.control'), keys.nodes, ...keys.keptOf(owner)];
      return run(CONTROL, all, [...RECORD, field, json, forMs, most, 1e9, owner]);
    };
    const left = () => Promise.all(of.map(async ([ends]) => (await admin.zrange(ends, '0', '-1')).sort()));
    const bytes = () => Promise.all(of.map(async ([, weight]) => Number(await admin.get(weight))));
    for (const [index, field] of ['a', 'b', 'c'].entries()) await put(0, field, '{}', 1_000 * (index + 60));
    for (let index = 0; index < 9; index++) await put(1, `s${index}`, '{}', 900_000 + index);
    expect(await left()).toEqual([
      ['a', 'b', 'c'],
      ['s6', 's7', 's8'],
    ]);
    expect((await admin.hkeys(keys.restrictions)).sort()).toEqual(['a', 'b', 'c', 's6', 's7', 's8']);
    await put(0, 'd', '{}');
    await put(1, 'd', '{"by":"spam"}', 900_000);
    await put(0, 'c', '{}', 800_000);
    await put(1, 'c', '{"by":"spam"}', 700_000);
    expect(await left()).toEqual([
      ['b', 'c', 'd'],
      ['s6', 's7', 's8'],
    ]);
    expect(await admin.hget(keys.restrictions, 'd')).toBe(' {}');
    // Longer than what people put: one record, which counts once.
    const [before] = await bytes();
    await put(1, 'b', '{}', 999_000);
    expect(await left()).toEqual([
      ['c', 'd'],
      ['b', 's7', 's8'],
    ]);
    expect((await bytes())[0]).toBeLessThan(before ?? 0);
    for (const field of ['b', 'c', 'd', 's7', 's8']) await put(0, field, '');
    expect([await left(), await bytes()]).toEqual([
      [[], []],
      [0, 0],
    ]);
    expect(await admin.exists(keys.restrictions)).toBe(0);
    // A ban of a user everywhere is in a table of its own.
    const ban = (by: 'people' | 'spam', json: string, forMs: number | '') =>
      run(
        CONTROL,
        [...log('$rt.control'), keys.nodes, ...keys.keptOf(by)],
        [...RECORD, 'ban user  u1', json, forMs, 3, 1e9, by],
      );
    await ban('people', '{"user":"u1"}', '');
    await ban('spam', '{"user":"u1","by":"spam"}', 9_000);
    expect(await admin.hgetall(keys.bans)).toEqual({ u1: ' {"user":"u1"}' });
    await ban('people', '{"user":"u1"}', 8_000);
    await ban('spam', '{"user":"u1","by":"spam"}', 9_000);
    expect(await admin.hget(keys.bans, 'u1')).toContain('spam');
  });

  it('the heartbeat does not count a node with another number of partitions', async () => {
    await run(HEARTBEAT, beatKeys(), beat('right', '4'));
    expect(await run(HEARTBEAT, beatKeys(), beat('wrong', '8'))).toEqual(['1', '4']);
    expect(await kit.admin.zscore(kit.keys.nodes, 'wrong')).toBeNull();
  });

  it('the heartbeat does not count a node of another layout, but accepts additions to its own layout', async () => {
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

  it('the heartbeat returns the end of the control records, under the epoch that every reader sees (G11)', async () => {
    const { keys } = kit;
    await kit.admin.flushall();
    const control = log('$rt.control');
    const tell = async () => (await run(HEARTBEAT, beatKeys(), beat('one', '4'))).slice(0, 5);
    expect(await tell()).toEqual(['1', '4', 'tok', 0, 0]);
    await run(CONTROL, [...control, keys.nodes], ['x', 90_000, '[]', 100, 60_000, '', '', '']);
    expect(await tell()).toEqual(['1', '4', 'tok', 1, 0]);
    expect(await run(TIPS, tipKeys('$rt.control'), ['y', 90_000])).toEqual(['tok', 1, 0]);
    // Of a position it says whether it is one of the log.
    const holds = async (epoch: string, seq: number) =>
      (await run(TIPS, tipKeys('$rt.control'), ['y', 90_000, epoch, seq]))[2];
    expect([await holds('tok', 1), await holds('tok', 2), await holds('other', 1)]).toEqual([1, 0, 0]);
  });

  it('the heartbeat returns what the server says of its replicas, and how many there were, until its data have another identity (G11)', async () => {
    const { admin, keys } = kit;
    await admin.flushall();
    const view = async () => {
      const [server, offset, most, acknowledged] = (await run(HEARTBEAT, beatKeys(), beat('a', '4'))).slice(
        8,
      );
      return {
        server,
        offset: Number(offset),
        most,
        acknowledged: (acknowledged as unknown as string[]).map(Number),
      };
    };
    const runId = /run_id:(\w+)/.exec(await admin.info('server'))?.[1];
    expect(await view()).toMatchObject({ server: runId, most: 0, acknowledged: [] });
    const replica = await RedisProcess.start({
      args: ['--replicaof', `127.0.0.1 ${kit.server.port}`, '--repl-diskless-sync-delay', '0'],
    });
    await synced(replica);
    // The master counts it from its first acknowledgement on.
    await until('the replica to be counted', async () => (await view()).acknowledged.length === 1);
    const before = await view();
    expect(before.most).toBe(1);
    expect(before.acknowledged).toHaveLength(1);
    // What the heartbeat itself wrote is behind the offset that it returns.
    await until('the replica to have it', async () =>
      (await view()).acknowledged.some((at) => at > before.offset),
    );
    await replica.dispose();
    await until('the replica to be gone', async () => (await view()).acknowledged.length === 0);
    expect((await view()).most).toBe(1);
    expect(await admin.hget(keys.meta, 'followed')).toMatch(/^\w{40} 1 \w{40}$/);
    await admin.hset(keys.meta, 'followed', `${'0'.repeat(40)} 7`);
    expect((await view()).most).toBe(0);
  });

  it('how many replicas there were is kept when the server gives back its backlog, and not when another process has the new identity (G11)', async () => {
    const { admin, keys } = kit;
    await admin.flushall();
    const before = '0'.repeat(40);
    const process = /run_id:(\w+)/.exec(await admin.info('server'))?.[1] ?? '';
    const replication = await admin.info('replication');
    const [, now = ''] = /master_replid:(\w+)/.exec(replication) ?? [];
    const [, backlog = ''] = /repl_backlog_active:([01])/.exec(replication) ?? [];
    const seen = (of: string, had: number) => `$server ${of} ${Date.now()} ${had} ${before}`;
    const most = async (what: readonly string[]) =>
      (await run(HEARTBEAT, beatKeys(), [...beat('a', '4'), '', ...what]))[10];
    await admin.hset(keys.meta, 'followed', `${before} 2`);
    const other = 1 - Number(backlog);
    expect(await most([seen(process, Number(backlog))])).toBe(0);
    expect(await most([seen('f'.repeat(40), other)])).toBe(0);
    expect(await most([seen(process, other)])).toBe(2);
    // A node that starts now has seen nothing.
    expect(await most([])).toBe(2);
    expect(await admin.hget(keys.meta, 'followed')).toBe(`${now} 2 ${process}`);
    // Where no node saw it either: the server itself is the same, until it follows another.
    await admin.hset(keys.meta, 'followed', `${before} 3 ${'f'.repeat(40)}`);
    expect(await most([])).toBe(0);
    await admin.hset(keys.meta, 'followed', `${before} 3 ${process}`);
    expect(await most([])).toBe(3);
    await admin.call('REPLICAOF', '127.0.0.1', '1');
    await admin.call('REPLICAOF', 'NO', 'ONE');
    expect(await most([])).toBe(0);
    // It remembers the identity before, as whoever is promoted does: what was seen of its backlog proves nothing.
    const promoted = await admin.info('replication');
    expect(promoted).toMatch(new RegExp(`master_replid2:${now}`));
    const [, kept = ''] = /repl_backlog_active:([01])/.exec(promoted) ?? [];
    await admin.hset(keys.meta, 'followed', `${before} 3`);
    expect(await most([seen(process, 1 - Number(kept))])).toBe(0);
  });

  it('two connections of one replica are one, as are more that are stored and known to be gone (G11)', async () => {
    const { admin, keys, server } = kit;
    await admin.flushall();
    const view = async (left = '') =>
      (await run(HEARTBEAT, beatKeys(), [...beat('a', '4'), '', left])).slice(10) as unknown as [
        number,
        string[],
      ];
    // As replicas do, up to the answer to it.
    const link = (port: number) => {
      const socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => undefined).once('data', () => socket.write('PSYNC ? -1\r\n'));
      socket.write(`REPLCONF listening-port ${port} capa eof\r\n`);
      const acknowledging = setInterval(() => socket.write('REPLCONF ACK 1\r\n'), 100);
      socket.on('close', () => clearInterval(acknowledging));
      return socket;
    };
    await admin.config('SET', 'repl-diskless-sync-delay', '0');
    const links = [link(7_001), link(7_001), link(7_002)];
    const online = async () => (await admin.info('replication')).match(/state=online/g)?.length ?? 0;
    await until('three connections', async () => (await online()) === 3);
    const [most, acknowledged] = await view();
    expect([most, acknowledged.length]).toEqual([2, 2]);
    // What is connected counts, whatever a node found.
    expect((await view('1'))[0]).toBe(2);
    for (const one of links) one.destroy();
    await until('none to be connected', async () => (await online()) === 0);
    expect((await view())[0]).toBe(2);
    expect((await view('1'))[0]).toBe(1);
    expect((await view('2'))[0]).toBe(1);
    expect(await admin.hget(keys.meta, 'followed')).toMatch(/ 1 \w{40}$/);
  });

  it('a heartbeat that a server without a disk refuses has something that replicas can acknowledge (G11)', async () => {
    const { admin, keys, server } = kit;
    await admin.flushall();
    await run(HEARTBEAT, beatKeys(), beat('a', '4'));
    const offset = async () => Number(/master_repl_offset:(\d+)/.exec(await admin.info('replication'))?.[1]);
    const replica = await RedisProcess.start({
      args: ['--replicaof', `127.0.0.1 ${server.port}`, '--repl-diskless-sync-delay', '0'],
    });
    await synced(replica);
    // Of the name that the dump is to have.
    const dump = join(server.folder, 'dump.rdb');
    mkdirSync(dump, { recursive: true });
    writeFileSync(join(dump, 'in-the-way'), '');
    await admin.config('SET', 'save', '3600 1');
    const saved = async (status: string) => {
      await admin.bgsave().catch(() => undefined);
      return new RegExp(`rdb_last_bgsave_status:${status}`).test(await admin.info('persistence'));
    };
    await until('the server to refuse writes', () => saved('err'));
    const before = await offset();
    const answer = await run(HEARTBEAT, [...beatKeys(), keys.answersTo('a')], beat('a', '4'));
    expect(String(answer[5])).toMatch(/^MISCONF/);
    expect(await offset()).toBeGreaterThan(before);
    rmSync(dump, { recursive: true });
    await until('the server to write', () => saved('ok'));
    await admin.config('SET', 'save', '');
    await replica.dispose();
  });

  it('the heartbeat returns the nodes that live', async () => {
    await kit.admin.flushall();
    await run(HEARTBEAT, beatKeys(), beat('b', '4'));
    await kit.admin.zadd(kit.keys.nodes, 1, 'dead');
    const live = (await run(HEARTBEAT, beatKeys(), beat('a', '4')))[6] as unknown as string[];
    // Beats of one millisecond have no order.
    expect([...live].sort()).toEqual(['a', 'b']);
  });

  it('the control script names nodes for the given time beyond their heartbeats (G11)', async () => {
    const { admin, keys } = kit;
    await admin.flushall();
    const [seconds] = await admin.time();
    await admin.zadd(keys.nodes, Number(seconds) * 1_000 - 60_000, 'late');
    const all = [...log('$rt.control'), keys.nodes];
    const put = (slackMs: number) => run(CONTROL, all, [...RECORD, '', '', '', 0, 0, 'people', slackMs]);
    expect((await put(600_000))[1]).toEqual(['late']);
    expect((await put(1_000))[1]).toEqual([]);
  });

  it('the heartbeat returns how many of the nodes that live have names before its own', async () => {
    await kit.admin.flushall();
    const rank = async (node: string) => (await run(HEARTBEAT, beatKeys(), beat(node, '4')))[4];
    expect([await rank('b'), await rank('d'), await rank('a'), await rank('c'), await rank('b')]).toEqual([
      0, 1, 0, 2, 1,
    ]);
    await kit.admin.zadd(kit.keys.nodes, 1, 'a');
    expect(await rank('c')).toBe(1);
  });

  it('every script declares the keys that it writes, all in one slot', () => {
    for (const name of ['a.b', 'a.b{x}', '}{a.b']) {
      const tags = [...withIds(name), ...kit.keys.room(name)].map((key) => /\{([^}]*)\}/.exec(key)?.[1]);
      expect([...new Set(tags)]).toEqual([`${kit.prefix}:${kit.keys.partitionOf(name)}`]);
    }
  });
});
