// A slot of a Cluster that moves away and back: the same server is its master again, under the incarnation that it had before.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import type { RedisBroker } from '../../lib/brokers/redis/index.js';
import type { Position } from '../../lib/protocol/position.js';
import { request, requests } from '../support/engine/append-requests.js';
import { RedisProcess } from '../support/redis/process.js';
import { RedisKit } from './kit.js';

const CHANNEL = 'rooms.1';
const QUIET = { heartbeatMs: 600_000, controlMaxAgeMs: 900_000, sweepMs: 600_000 };

describe('a log that moves to another server and back (G6, P10)', () => {
  let kit: RedisKit;
  let other: RedisProcess;
  let away: Redis;
  let here: RedisBroker;
  let there: RedisBroker;

  beforeEach(async () => {
    kit = await RedisKit.open();
    other = await RedisProcess.start();
    away = new Redis(other.url);
    here = (await kit.node(QUIET)).broker;
    there = (await kit.node({ ...QUIET, url: other.url })).broker;
  });
  afterEach(async () => {
    away.disconnect();
    await kit.dispose();
    await other.dispose();
  });

  const partition = () => `{${kit.prefix}:${kit.keys.partitionOf(CHANNEL)}}*`;

  /** What a server holds of the partition. */
  async function copyOf(server: Redis): Promise<Map<string, Buffer>> {
    const copy = new Map<string, Buffer>();
    for (const key of await server.keys(partition()))
      copy.set(key, (await server.dumpBuffer(key)) ?? Buffer.alloc(0));
    return copy;
  }

  /** Makes a copy the contents of the partition on `to`, and leaves none on `from`. */
  async function move(from: Redis, to: Redis, copy?: ReadonlyMap<string, Buffer>): Promise<void> {
    const moved = copy ?? (await copyOf(from));
    for (const server of [from, to]) for (const key of await server.keys(partition())) await server.del(key);
    for (const [key, value] of moved) await to.restore(key, 600_000, value);
  }

  const append = async (broker: RedisBroker, prefix: string, count: number): Promise<Position> => {
    const last = (await broker.log.appendMany(requests(CHANNEL, prefix, count))).at(-1);
    if (last?.ok !== true) throw new Error(`An append failed: ${last?.code ?? 'no outcome'}`);
    return last.position;
  };
  const good = async (broker: RedisBroker, { epoch, seq }: Position) =>
    (await broker.log.read({ channel: CHANNEL, epoch, from: seq + 1, limit: 100 })).continuous;
  const tipOf = async (broker: RedisBroker) => (await broker.log.tips([CHANNEL]))[0];
  const only = (copy: ReadonlyMap<string, Buffer>, keep: (key: string) => boolean) =>
    new Map([...copy].filter(([key]) => keep(key)));

  it('has no position that was lost in between', async () => {
    const kept = await append(here, 'a', 5);
    const copy = await copyOf(kit.admin);
    const lost = await append(here, 'b', 2);
    // The other server failed over to a replica that did not have the last events.
    await move(kit.admin, away, copy);
    const moved = await append(there, 'c', 1);
    await move(away, kit.admin);
    const back = await append(here, 'd', 5);
    expect(back.seq).toBe(11);
    expect(new Set([kept.epoch, moved.epoch, back.epoch]).size).toBe(3);
    for (const server of [here]) {
      expect(await good(server, kept)).toBe(true);
      expect(await good(server, moved)).toBe(true);
      expect(await good(server, lost)).toBe(false);
    }
    // The second time.
    await move(kit.admin, away);
    const again = await append(there, 'e', 1);
    await move(away, kit.admin);
    const last = await append(here, 'f', 1);
    expect(new Set([kept, moved, back, again, last].map(({ epoch }) => epoch)).size).toBe(5);
    expect(await good(here, { ...moved, seq: moved.seq + 1 })).toBe(false);
    for (const position of [kept, moved, back, again, last]) expect(await good(here, position)).toBe(true);
  });

  it('does not begin a second time under its first name when it was lost in between', async () => {
    const start = await tipOf(here);
    const lost = await append(here, 'a', 2);
    expect(lost.epoch).toBe(start?.epoch);
    const origin = kit.keys.origin(CHANNEL);
    const copy = only(await copyOf(kit.admin), (key) => key === origin);
    expect(copy.size).toBe(1);
    await move(kit.admin, away, copy);
    const elsewhere = await tipOf(there);
    await move(away, kit.admin);
    const now = await tipOf(here);
    expect(now?.seq).toBe(0);
    expect(new Set([lost.epoch, elsewhere?.epoch, now?.epoch]).size).toBe(3);
    expect((await append(here, 'c', 3)).epoch).toBe(now?.epoch);
    expect(await good(here, lost)).toBe(false);
  });

  it('keeps the start of a log that nobody wrote true wherever it is (P11)', async () => {
    const start = await tipOf(here);
    await move(kit.admin, away);
    expect(await good(there, start as Position)).toBe(true);
    await move(away, kit.admin);
    const [outcome] = await here.log.appendMany([request(CHANNEL, 'a')]);
    expect(outcome).toMatchObject({ ok: true, position: { seq: 1 } });
    expect(await good(here, start as Position)).toBe(true);
    expect(await good(here, { ...(start as Position), seq: 1 })).toBe(false);
  });

  it('gives a presence room an epoch that it never had (G19)', async () => {
    const entry = (member: string) => ({ channel: CHANNEL, member, device: 'd', generation: 1 });
    const room = (broker: RedisBroker) => broker.presence.members(CHANNEL, { limit: 10 });
    const seen: string[] = [];
    const note = async (broker: RedisBroker) => void seen.push((await room(broker)).epoch);
    await here.presence.enter(entry('ada'), 60_000);
    await note(here);
    for (const [index, member] of ['bob', 'eve'].entries()) {
      await move(kit.admin, away);
      await there.presence.enter(entry(member), 60_000);
      await note(there);
      await move(away, kit.admin);
      await note(here);
      expect((await room(here)).count).toBe(index + 2);
    }
    expect(new Set(seen).size).toBe(seen.length);
  });
});
