import { Redis, type Cluster } from 'ioredis';
import { RedisKeys } from '../../../lib/brokers/redis/keys.js';
import { NEW_PARTITIONS } from '../../../lib/brokers/redis/settings.js';
import type { FinalLog } from './history-types.js';
import type { RedisProcess } from '../redis/process.js';

/** As `redisBroker` names them by default. */
const KEYS = new RedisKeys('rt', NEW_PARTITIONS);

/** Reads logs straight from Redis: what the library says about them is what the checker judges. */
export async function readLogs(
  redis: Redis | Cluster,
  channels: readonly string[],
): Promise<readonly FinalLog[]> {
  return await Promise.all(
    channels.map(async (channel) => {
      const [epoch, seq] = await redis.hmget(KEYS.head(channel), 'e', 's');
      const entries = await redis.xrange(KEYS.stream(channel), '-', '+');
      const events = entries.flatMap(([place, [, , , text]]) => {
        const bodies = JSON.parse(text ?? '[]') as readonly { readonly i: string }[];
        const last = Number.parseInt(place, 10);
        return bodies.map(({ i }, index) => ({ seq: last - bodies.length + 1 + index, id: i }));
      });
      return { channel, position: { epoch: epoch ?? '', seq: Number(seq ?? 0) }, events };
    }),
  );
}

/** Forgets everything that a server holds. */
export async function flushAll(server: RedisProcess): Promise<void> {
  const redis = new Redis(server.url);
  await redis.flushall();
  redis.disconnect();
}
