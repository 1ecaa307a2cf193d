import { Redis, type Cluster } from 'ioredis';
import type { RedisBrokerOptions } from '../../lib/brokers/redis/index.js';
import type { RedisKeys } from '../../lib/brokers/redis/redis.keys.js';
import { RedisProcess } from './redis-process.js';

/** Servers that belong together, and what can be done to them. */
export interface RedisDeployment {
  /** How a broker finds them. */
  readonly options: RedisBrokerOptions;
  /** A client that a broker may copy; not connected. */
  client(): Redis | Cluster;
  /** Forgets everything, on every master. */
  flush(): Promise<void>;
  /** Ends every master at once and starts it again with what it had on disk. */
  restart(): Promise<void>;
  /** Leaves of a log what a replica would have that saw only the first `keep` events, under a new incarnation. */
  loseEnd(keys: RedisKeys, channel: string, keep: number): Promise<void>;
  dispose(): Promise<void>;
}

/** One server with an append-only file. */
export async function singleRedis(): Promise<RedisDeployment> {
  const server = await RedisProcess.start({ args: ['--enable-debug-command', 'local'] });
  const admin = new Redis(server.url, { maxRetriesPerRequest: 10 });
  admin.on('error', () => undefined);
  return {
    options: {},
    client: () => new Redis(server.url, { lazyConnect: true }),
    flush: async () => void (await admin.flushall()),
    async restart() {
      await server.kill();
      await server.launch();
    },
    loseEnd: (keys, channel, keep) => loseEnd(admin, admin, keys, channel, keep),
    async dispose() {
      admin.disconnect();
      await server.dispose();
    },
  };
}

/**
 * Cuts a log back, with the ids that were remembered behind the cut, and gives the server another identity.
 *
 * @param admin Where the keys are.
 * @param server The process that holds them.
 */
export async function loseEnd(
  admin: Redis | Cluster,
  server: Redis,
  keys: RedisKeys,
  channel: string,
  keep: number,
): Promise<void> {
  const [head, stream] = [keys.head(channel), keys.stream(channel)];
  const lost = await admin.xrange(stream, keep + 1, '+');
  const first = lost[0];
  if (first !== undefined) {
    await admin.xdel(stream, ...lost.map(([id]) => id));
    await admin.call('XSETID', stream, `${keep}-0`);
  }
  await admin.hset(head, 's', keep);
  for (const [, [, , , body]] of lost) {
    const { i } = JSON.parse(body ?? '{}') as { readonly i: string };
    await admin.del(keys.id(channel, 'u1', i));
  }
  await server.call('DEBUG', 'CHANGE-REPL-ID');
}
