// A Redis Cluster of three masters with a replica each, under load: 500 slots move, and a master is killed.
// 200 clients.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Cluster } from 'ioredis';
import { RedisKeys } from '../../lib/brokers/redis/keys.js';
import { NEW_PARTITIONS } from '../../lib/brokers/redis/settings.js';
import { RECOVERY_MS, runFault } from '../support/fault/scenario.js';
import { ownerOf } from '../support/fault/slots.js';
import { patience, stretched } from '../support/patience.js';
import { redisCluster, type RedisClusterDeployment } from '../support/redis/cluster.js';
import { until } from '../support/until.js';

const KEYS = new RedisKeys('rt', NEW_PARTITIONS);
const MOVED = 500;
const TIMEOUT_MS = patience(30_000);

let deployment: RedisClusterDeployment;
let admin: Cluster;

beforeAll(async () => {
  deployment = await redisCluster(stretched(1_000));
  admin = deployment.client() as Cluster;
  admin.on('error', () => undefined);
});

beforeEach(() => deployment.flush());

afterAll(async () => {
  admin.disconnect();
  await deployment.dispose();
});

/** Where the slots of the three masters begin. `redis-cli` moves the first ones of a master. */
const BEGINNINGS = [0, 5_461, 10_923];

/** Four rooms on slots that move when 500 leave their master, and four on others. */
function rooms(): readonly string[] {
  const names = Array.from({ length: 2_000 }, (_, index) => `rooms.${index + 1}`);
  for (const first of BEGINNINGS) {
    const moves = (name: string): boolean => slotOf(name) >= first && slotOf(name) < first + MOVED;
    const moving = names.filter(moves).slice(0, 4);
    if (moving.length === 4) return [...moving, ...names.filter((name) => !moves(name)).slice(0, 4)];
  }
  throw new Error('No room has a slot that moves');
}

function slotOf(room = ''): number {
  return KEYS.slotOf(KEYS.partitionOf(room));
}

function redis() {
  return {
    cluster: { nodes: deployment.servers.map(({ port }) => ({ host: '127.0.0.1', port })) },
  };
}

describe('many nodes over a Redis Cluster', () => {
  it(
    'disconnects nobody and loses nothing when 500 slots move (G6)',
    async () => {
      const channels = rooms();
      const moving = await deployment.masterOf(KEYS.head(channels[0] ?? ''));
      const ends = await Promise.all(channels.map((name) => deployment.masterOf(KEYS.head(name))));
      const target = ends.find(({ id }) => id !== moving.id);
      const result = await runFault('move 500 slots', admin, { redis: redis(), channels }, async () => {
        await deployment.cli(
          ...['--cluster', 'reshard', `127.0.0.1:${moving.server.port}`],
          ...['--cluster-from', moving.id, '--cluster-to', target?.id ?? ''],
          ...['--cluster-slots', String(MOVED), '--cluster-yes'],
        );
        return performance.now();
      });
      const owner = await ownerOf(moving.server, slotOf(channels[0]));
      expect(owner?.id).toBe(target?.id);
      expect(result.report).toMatchObject({ losses: 0, gaps: 0, truncations: 0, unknown: 0, refused: 0 });
      expect(result.disconnects).toBe(0);
      expect(result.recoveryMs).toBeLessThanOrEqual(RECOVERY_MS);
    },
    TIMEOUT_MS,
  );

  it(
    'announces what the replica lacks when a master is killed (G6)',
    async () => {
      const channels = rooms();
      const result = await runFault(
        'kill a master of the Cluster',
        admin,
        { redis: redis(), channels },
        async () => {
          const { server, id } = await deployment.masterOf(KEYS.head(channels[0] ?? ''));
          const witness = deployment.servers.find((other) => other !== server) ?? server;
          await server.kill();
          await until('the replica to take over', async () => {
            const owner = await ownerOf(witness, slotOf(channels[0]));
            return owner !== undefined && owner.id !== id;
          });
          return performance.now();
        },
        { mayLose: true },
      );
      expect(result.report).toMatchObject({ gaps: 0, truncations: 0, unknown: 0, refused: 0 });
      expect(result.disconnects).toBe(0);
      expect(result.recoveryMs).toBeLessThanOrEqual(RECOVERY_MS);
    },
    TIMEOUT_MS,
  );
});
