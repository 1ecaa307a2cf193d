// All connections of a node have to lead to one server: behind an address there may be several, as with HAProxy or a
// Kubernetes Service, and connections that were there before a failover stay where they are.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import type { RedisBroker, RedisBrokerOptions } from '../../lib/brokers/redis/index.js';
import { request } from '../support/engine/append-requests.js';
import { elapse, stretched } from '../support/patience.js';
import { CutRelay } from '../support/redis/cut-relay.js';
import { RedisProcess } from '../support/redis/process.js';
import { synced } from '../support/redis/sentinels.js';
import { until } from '../support/until.js';
import { RedisKit } from './kit.js';

const ROOM = 'rooms.1';
// Nothing here may be owed to the check that comes anyway.
const RARELY = { intervalMs: 600_000 };

describe('an address that leads to several servers', () => {
  let kit: RedisKit;
  let other: RedisProcess;
  let admin: Redis;
  let way: CutRelay;

  beforeEach(async () => {
    kit = await RedisKit.open();
    other = await RedisProcess.start({
      args: ['--replicaof', `127.0.0.1 ${kit.server.port}`, '--repl-diskless-sync-delay', '0'],
    });
    admin = new Redis(other.url);
    await synced(other);
    way = await CutRelay.start(kit.server.port);
  });
  afterEach(async () => {
    await kit.dispose();
    await way.close();
    admin.disconnect();
    await other.dispose();
  });

  const through = (options: RedisBrokerOptions = {}) =>
    kit.node({ url: way.url, tipCheck: RARELY, ...options });

  /** What the connections of nodes at a server are for. */
  async function purposes(server: Redis): Promise<readonly string[]> {
    const list = String(await server.client('LIST'));
    return [...list.matchAll(/ name=nestjs-realtime-(\w+)/g)].map(([, name]) => name ?? '').sort();
  }

  /** The replica becomes the master and the master its replica; no connection is closed. */
  async function swap(): Promise<void> {
    await admin.call('REPLICAOF', 'NO', 'ONE');
    await kit.admin.call('REPLICAOF', '127.0.0.1', String(other.port));
    way.lead(other.port);
  }

  async function hears(broker: RedisBroker, signals: () => readonly unknown[]): Promise<void> {
    const before = signals().length;
    await until('a signal', async () => {
      await broker.log.signal(ROOM, { event: 'typing', payload: 1, user: 'ada' }).catch(() => undefined);
      return signals().length > before;
    });
  }

  it.each<[NonNullable<RedisBrokerOptions['durability']>, number]>([
    ['broker', 3],
    [{ level: 'replicated', timeoutMs: stretched(1_000) }, 4],
  ])(
    'with durability %j, every connection follows to the new master when no connection was closed (G5, G21)',
    async (durability, connections) => {
      const { broker, seen } = await through({ durability });
      await broker.log.subscribe(ROOM);
      await until('all connections', async () => (await purposes(kit.admin)).length === connections);
      await swap();
      await until('all at the new master', async () => (await purposes(admin)).length === connections);
      expect(await purposes(kit.admin)).toEqual([]);
      await until('the way back', () => seen.states.at(-1) === 'up');
      await hears(broker, () => seen.signalsOf(ROOM));
      // With a replica again, events are appended there and delivered from there.
      await until('an event', async () => {
        const [outcome] = await broker.log.appendMany([request(ROOM, 'a')]);
        return outcome?.ok === true && seen.seqsOf(ROOM).length > 0;
      });
    },
  );

  it('a subscriber that comes back at a replica leaves it, and the owner is warned while it comes there again (G21)', async () => {
    const warnings: string[] = [];
    const { broker, seen } = await through({ onWarning: (text) => warnings.push(text) });
    await broker.log.subscribe(ROOM);
    expect(await purposes(admin)).toEqual([]);
    way.lead(other.port);
    await kit.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until('the warning', () => warnings.length > 0);
    expect(warnings).toEqual([expect.stringContaining('lead to different servers')]);
    expect(await purposes(kit.admin)).toEqual(['commands']);
    way.lead(kit.server.port);
    await until('all at the master', async () => (await purposes(kit.admin)).length === 3);
    await hears(broker, () => seen.signalsOf(ROOM));
    await until('none at the replica', async () => (await purposes(admin)).length === 0);
    expect(seen.states.at(-1)).toBe('up');
    // No word about it once all is well, and one the next time.
    expect(warnings).toHaveLength(1);
    way.lead(other.port);
    await kit.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until('the next warning', () => warnings.length > 1);
  });

  it('connections that lead to another server again and again are made once a heartbeat, and no more often (G13)', async () => {
    const heartbeatMs = 500;
    const { seen } = await through({ heartbeatMs, onWarning: () => undefined });
    way.lead(other.port);
    const before = way.accepted;
    await kit.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until('the first to be there', async () => (await purposes(admin)).length > 0);
    const began = performance.now();
    await elapse(5 * heartbeatMs);
    const beats = (performance.now() - began) / heartbeatMs;
    // Two subscribers, one for each that is moved, with one more for what was under way.
    expect(way.accepted - before).toBeLessThanOrEqual(2 * (Math.ceil(beats) + 2));
    way.lead(kit.server.port);
    await until('all at the master', async () => (await purposes(kit.admin)).length === 3);
    await until('the way back', () => seen.states.at(-1) === 'up');
  });

  it('on one server, connections stay (G21)', async () => {
    const { seen } = await through();
    const ids = async () => [...String(await kit.admin.client('LIST')).matchAll(/id=(\d+) .*nestjs/g)].join();
    const before = await ids();
    const proofs = seen.proofs.length;
    await until('some heartbeats', () => seen.proofs.length > proofs + 5);
    expect(await ids()).toBe(before);
    expect(seen.states).toEqual(['up']);
  });
});
