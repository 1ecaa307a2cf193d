import { Redis } from 'ioredis';
import type { RedisProcess } from '../redis/process.js';

type SlotRange = readonly [
  from: number,
  to: number,
  master: readonly [host: string, port: number, id: string],
];

/** The master of a slot, as this server of a Cluster sees it; `undefined` while the Cluster is down. */
export async function ownerOf(
  server: RedisProcess,
  slot: number,
): Promise<{ readonly id: string; readonly port: number } | undefined> {
  const redis = new Redis(server.url, { maxRetriesPerRequest: 1 });
  redis.on('error', () => undefined);
  try {
    const info = String(await redis.call('CLUSTER', 'INFO'));
    if (!info.includes('cluster_state:ok')) return undefined;
    const ranges = (await redis.call('CLUSTER', 'SLOTS')) as readonly SlotRange[];
    const found = ranges.find(([from, to]) => slot >= from && slot <= to);
    return found === undefined ? undefined : { port: found[2][1], id: found[2][2] };
  } finally {
    redis.disconnect();
  }
}
