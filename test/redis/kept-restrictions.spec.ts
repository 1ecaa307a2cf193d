// What Redis keeps of bans and restrictions for nodes that start later.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { ControlMessage } from '../../lib/core/ports/control.js';
import type { RestrictionOwner } from '../../lib/core/ports/moderation.js';
import { CONTROL, FORGET } from '../../lib/brokers/redis/scripts/control.js';
import { until } from '../support/until.js';
import { RedisKit } from './kit.js';
import { scriptCalls } from './script-calls.js';

const RECORD = ['tok', 90_000, '{"i":"x"}', 100, 60_000];
const HOUR_MS = 3_600_000;

describe('bans and restrictions in Redis (G30)', () => {
  let kit: RedisKit;
  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterEach(() => kit.reset());
  afterAll(() => kit.dispose());

  const { now, run, log } = scriptCalls(() => kit);
  const ban = (user: string) => `ban user  ${user}`;

  interface Put {
    readonly forMs?: number;
    readonly json?: string;
    readonly most?: number;
    readonly mostBytes?: number;
    readonly owner?: RestrictionOwner;
  }
  const put = (
    name: string,
    { forMs, json = '{}', most = 100, mostBytes = 1e9, owner = 'people' }: Put = {},
  ) =>
    run(
      CONTROL,
      [...log('$rt.control'), kit.keys.nodes, ...kit.keys.keptOf(owner)],
      [...RECORD, name, json, forMs ?? '', most, mostBytes, owner],
    );
  const end = (name: string) => put(name, { json: '' });
  const banned = async () => (await kit.admin.hkeys(kit.keys.bans)).sort();
  const restricted = async () => (await kit.admin.hkeys(kit.keys.restrictions)).sort();
  /** What those of an owner are counted as. */
  const counted = async (owner: RestrictionOwner = 'people') => {
    const [ends, bytes] = kit.keys.restrictionsOf(owner);
    return [await kit.admin.zcard(ends), Number(await kit.admin.get(bytes))];
  };

  it('share one room: at the bound all are kept, above it those that end first go, of either kind', async () => {
    await put(ban('forever'));
    await put(ban('long'), { forMs: 3 * HOUR_MS });
    await put('mute user  u1', { forMs: 2 * HOUR_MS });
    await put(ban('short'), { forMs: HOUR_MS, most: 4 });
    expect(await banned()).toEqual(['forever', 'long', 'short']);
    expect(await restricted()).toEqual(['mute user  u1']);
    await put('mute user  u2', { forMs: 4 * HOUR_MS, most: 4 });
    expect(await banned()).toEqual(['forever', 'long']);
    await put(ban('new'), { most: 4 });
    expect(await banned()).toEqual(['forever', 'long', 'new']);
    expect(await restricted()).toEqual(['mute user  u2']);
    expect((await counted())[0]).toBe(4);
  });

  it('have a bound in bytes, to the byte', async () => {
    const json = JSON.stringify({ reason: 'x'.repeat(1_000) });
    for (const user of ['a', 'b', 'c']) await put(ban(user), { json, forMs: HOUR_MS });
    const [, three = 0] = await counted();
    expect(three).toBeGreaterThan(3_000);
    // Of the same size, so one has to go.
    await put(ban('d'), { json, forMs: HOUR_MS, mostBytes: three });
    expect(await counted()).toEqual([3, three]);
    await put(ban('e'), { json, forMs: HOUR_MS, mostBytes: three - 1 });
    expect(await counted()).toEqual([2, (three * 2) / 3]);
  });

  it('one that is put again counts once, one that is lifted makes room, and none leave nothing', async () => {
    await put(ban('a'), { json: JSON.stringify({ reason: 'x'.repeat(500) }) });
    const [, large = 0] = await counted();
    await put(ban('a'));
    const [count, small = 0] = await counted();
    expect([count, large - small]).toEqual([1, JSON.stringify({ reason: 'x'.repeat(500) }).length - 2]);
    await put(ban('b'));
    await end(ban('a'));
    await put(ban('c'), { most: 2 });
    expect(await banned()).toEqual(['b', 'c']);
    await end(ban('b'));
    await end(ban('c'));
    expect([await counted(), await kit.admin.exists(kit.keys.bans)]).toEqual([[0, 0], 0]);
  });

  it('one that has ended makes room before any that holds does', async () => {
    await put(ban('over'), { forMs: 1 });
    await put(ban('holds'), { forMs: HOUR_MS });
    await pastEnd();
    // Also where there is room.
    await put(ban('new'), { forMs: 2 * HOUR_MS, most: 3 });
    expect(await banned()).toEqual(['holds', 'new']);
    await put(ban('over'), { forMs: 1 });
    await pastEnd();
    await put(ban('last'), { forMs: 2 * HOUR_MS, most: 3 });
    expect(await banned()).toEqual(['holds', 'last', 'new']);
  });

  it('those against spam take no room of those that people put, and one that changes its owner counts for the new one', async () => {
    await put(ban('a'), { forMs: HOUR_MS });
    for (let index = 0; index < 5; index++)
      await put(ban(`s${index}`), { forMs: HOUR_MS + index * 1_000, most: 2, owner: 'spam' });
    expect(await banned()).toEqual(['a', 's3', 's4']);
    await put(ban('a'), { forMs: 3 * HOUR_MS, most: 2, owner: 'spam' });
    expect([await counted(), (await counted('spam'))[0]]).toEqual([[0, 0], 2]);
    expect(await banned()).toEqual(['a', 's4']);
    await put(ban('a'), { forMs: HOUR_MS });
    expect([(await counted())[0], (await counted('spam'))[0]]).toEqual([1, 1]);
    // Of two against spam the later holds, the shorter one too.
    const endOf = async (user: string) =>
      Number(((await kit.admin.hget(kit.keys.bans, user)) ?? '').split(' ')[0]);
    const longer = await endOf('s4');
    await put(ban('s4'), { forMs: HOUR_MS / 2, owner: 'spam' });
    expect(await endOf('s4')).toBeLessThan(longer);
    // What people put, and lasts as long, stays theirs.
    await put(ban('a'), { forMs: 1_000, owner: 'spam' });
    expect([(await counted())[0], (await counted('spam'))[0]]).toEqual([1, 1]);
    for (const user of ['a', 's4']) await end(ban(user));
    expect([await counted(), await counted('spam')]).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });

  it('a ban of an older version, which counts nothing, is replaced and lifted without a trace', async () => {
    await put(ban('a'));
    const before = await counted();
    for (const user of ['older', 'other']) await kit.admin.hset(kit.keys.bans, user, ` ${'x'.repeat(5_000)}`);
    await end(ban('older'));
    expect([await banned(), await counted()]).toEqual([['a', 'other'], before]);
    await put(ban('other'));
    await end(ban('other'));
    expect([await banned(), await counted()]).toEqual([['a'], before]);
    // Nor does spam take its place.
    await kit.admin.hset(kit.keys.bans, 'older', ' {"by":"admin"}');
    await put(ban('older'), { forMs: HOUR_MS, owner: 'spam' });
    expect(await kit.admin.hget(kit.keys.bans, 'older')).toBe(' {"by":"admin"}');
  });

  it('bans of an older version are beside the room of the others until they are put again', async () => {
    await kit.admin.hset(kit.keys.bans, { older: ' {}', other: ' {}' });
    for (const [index, user] of ['a', 'b', 'c'].entries())
      await put(ban(user), { forMs: (index + 1) * HOUR_MS, most: 2 });
    expect(await banned()).toEqual(['b', 'c', 'older', 'other']);
    await put(ban('older'), { forMs: 4 * HOUR_MS, most: 2 });
    expect(await banned()).toEqual(['c', 'older', 'other']);
    expect((await counted())[0]).toBe(2);
    // What an older node lifts keeps its place until its end.
    await kit.admin.hdel(kit.keys.bans, 'older');
    await put(ban('d'), { forMs: 5 * HOUR_MS, most: 2 });
    expect(await banned()).toEqual(['d', 'other']);
    await put(ban('e'), { forMs: 6 * HOUR_MS, most: 2 });
    expect(await banned()).toEqual(['d', 'e', 'other']);
  });

  it('a ban that a node of an older version put again holds when the end that it had before has come', async () => {
    for (const user of ['forever', 'longer', 'lifted', 'ended']) await put(ban(user), { forMs: 30 });
    const later = (await now()) + HOUR_MS;
    await kit.admin.hset(kit.keys.bans, { forever: ' {}', longer: `${later} {}` });
    await kit.admin.hdel(kit.keys.bans, 'lifted');
    const ends = await now();
    await until('their ends', async () => (await now()) > ends + 30);
    await put(ban('another'));
    expect(await banned()).toEqual(['another', 'forever', 'longer']);
    const [kept] = kit.keys.restrictionsOf('people');
    expect(await kit.admin.zscore(kept, ban('forever'))).toBe('inf');
    expect(await kit.admin.zscore(kept, ban('longer'))).toBe(String(later));
    expect(await kit.admin.zcard(kept)).toBe(3);
  });

  it('names of users may be anything', async () => {
    const users = ['', ' ', 'a b', 'ban user  x', 'a\nb', '%d', 'ü'];
    for (const user of users) await put(ban(user));
    // From one channel, or of something else: no ban of a user everywhere.
    const others = ['ban user rooms.1 u1', 'ban session  s1', 'mute user  u1'];
    for (const name of others) await put(name);
    expect([await banned(), await restricted()]).toEqual([[...users].sort(), others.sort()]);
    for (const name of others) await end(name);
    for (const user of users) await end(ban(user));
    expect([await banned(), await counted()]).toEqual([[], [0, 0]]);
  });

  it('those that have ended are forgotten, none that was put again since it was read, and all that hold stay', async () => {
    const past = String((await now()) - 1_000);
    await kit.admin.hset(kit.keys.bans, { over: `${past} {}`, forever: ' {}' });
    await kit.admin.hset(kit.keys.restrictions, 'mute user  over', `${past} {}`);
    await put(ban('again'), { forMs: HOUR_MS });
    const names = [ban('over'), ban('again'), ban('forever'), ban('unknown'), 'mute user  over'];
    await run(FORGET, kit.keys.keptOf('people'), names);
    expect([await banned(), await restricted()]).toEqual([['again', 'forever'], []]);
    expect((await counted())[0]).toBe(1);
    // What is counted is so no more.
    await put(ban('brief'), { forMs: 1, owner: 'spam' });
    await pastEnd();
    await run(FORGET, kit.keys.keptOf('people'), [ban('brief')]);
    expect([await banned(), await counted('spam')]).toEqual([
      ['again', 'forever'],
      [0, 0],
    ]);
  });

  it('a node that starts forgets what has ended, is notified of what holds, and starts with what it does not understand', async () => {
    const first = await kit.node();
    const records: readonly ControlMessage[] = [
      { kind: 'ban', user: 'holds', forMs: HOUR_MS },
      { kind: 'ban', user: 'lifted' },
      { kind: 'unban', user: 'lifted' },
      { kind: 'restrict', act: 'ban', whom: { of: 'user', id: 'everywhere' } },
      { kind: 'ban', user: 'both' },
      { kind: 'lift', act: 'ban', whom: { of: 'user', id: 'both' } },
      { kind: 'ban', user: 'spammer', forMs: HOUR_MS, by: 'spam' },
    ];
    for (const record of records) await first.broker.bus.control(record);
    const over = `${(await now()) - 1_000} {"kind":"ban","user":"over"}`;
    await kit.admin.hset(kit.keys.bans, { over, odd: 'odd' });
    const second = await kit.node();
    const users = second.seen.controls.map((record) => (record.kind === 'ban' ? record.user : record.kind));
    expect(users.sort()).toEqual(['holds', 'restrict', 'spammer']);
    expect(await banned()).toEqual(['everywhere', 'holds', 'odd', 'spammer']);
    expect([(await counted())[0], (await counted('spam'))[0]]).toEqual([2, 1]);
  });

  it('a node that starts is notified of what holds also where what has ended cannot be removed', async () => {
    const first = await kit.node();
    await first.broker.bus.control({ kind: 'ban', user: 'holds' });
    await kit.admin.hset(kit.keys.bans, 'over', `${(await now()) - 1_000} {"kind":"ban","user":"over"}`);
    const [ends] = kit.keys.restrictionsOf('spam');
    await kit.admin.set(ends, 'of another kind');
    const { seen } = await kit.node();
    expect(seen.controls).toEqual([{ kind: 'ban', user: 'holds' }]);
    expect(await banned()).toEqual(['holds', 'over']);
  });

  /** Lets the server's clock go past what lasts a millisecond. */
  async function pastEnd(): Promise<void> {
    const from = await now();
    await until('the end', async () => (await now()) > from + 2);
  }
});
