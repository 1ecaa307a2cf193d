import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Cluster, Redis } from 'ioredis';
import { slotOf } from '../../../lib/brokers/redis/keys.js';
import { loseEnd, spoilEvent, type RedisDeployment } from './deployment.js';
import { RedisProcess } from './process.js';
import { until } from '../until.js';

const run = promisify(execFile);

/** A Redis Cluster of a test's own. */
export interface RedisClusterDeployment extends RedisDeployment {
  readonly servers: readonly RedisProcess[];
  /** Runs `redis-cli` with these arguments. */
  cli(...args: readonly string[]): Promise<string>;
  /** The server that is master of a key's slot now, and a connection to it. */
  masterOf(
    key: string,
  ): Promise<{ readonly server: RedisProcess; readonly admin: Redis; readonly id: string }>;
}

/** Three masters with a replica each. */
export async function redisCluster(nodeTimeoutMs = 2_000): Promise<RedisClusterDeployment> {
  const args = [
    ...['--cluster-enabled', 'yes', '--cluster-node-timeout', String(nodeTimeoutMs)],
    ...['--repl-diskless-sync-delay', '0', '--enable-debug-command', 'local'],
  ];
  const servers = await Promise.all(Array.from({ length: 6 }, () => RedisProcess.start({ args })));
  const cli = async (...rest: readonly string[]) => (await run('redis-cli', [...rest])).stdout;
  const addresses = servers.map(({ port }) => `127.0.0.1:${port}`);
  await cli('--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes');
  const admins = new Map(servers.map((server) => [server, quietClient(server)]));
  const nodes = servers.map(({ port }) => ({ host: '127.0.0.1', port }));

  async function masters(): Promise<readonly (readonly [RedisProcess, Redis])[]> {
    const roles = await Promise.all(
      [...admins].map(async ([server, admin]) => {
        const [role] = (await admin.role()) as [string];
        return [server, admin, role] as const;
      }),
    );
    return roles.flatMap(([server, admin, role]) => (role === 'master' ? [[server, admin] as const] : []));
  }

  async function masterOf(key: string) {
    const tag = /\{([^}]+)\}/.exec(key)?.[1] ?? key;
    const slot = slotOf(tag);
    for (const [server, admin] of await masters()) {
      const id = String(await admin.call('CLUSTER', 'MYID'));
      const slots = (await admin.call('CLUSTER', 'SLOTS')) as [number, number, [string, number, string]][];
      if (slots.some(([from, to, [, , owner]]) => slot >= from && slot <= to && owner === id))
        return { server, admin, id };
    }
    throw new Error(`No master serves slot ${slot}`);
  }

  await Promise.all([...admins.values()].map(whole));
  return {
    servers,
    cli,
    masterOf,
    options: {},
    client: () => new Cluster(nodes, { lazyConnect: true }),
    async flush() {
      await Promise.all((await masters()).map(([, admin]) => admin.flushall()));
    },
    async restart() {
      await Promise.all(
        (await masters()).map(async ([server]) => {
          await server.kill();
          await server.launch();
        }),
      );
      await Promise.all([...admins.values()].map(whole));
    },
    async loseEnd(keys, channel, keep) {
      const { admin } = await masterOf(keys.head(channel));
      await loseEnd(admin, admin, keys, channel, keep);
    },
    async spoilEvent(keys, channel, seq) {
      const { admin } = await masterOf(keys.stream(channel));
      await spoilEvent(admin, keys, channel, seq);
    },
    async dispose() {
      for (const admin of admins.values()) admin.disconnect();
      await Promise.all(servers.map((server) => server.dispose()));
    },
  };
}

function quietClient(server: RedisProcess): Redis {
  const client = new Redis(server.url, { retryStrategy: () => 50 });
  client.on('error', () => undefined);
  return client;
}

/** Waits until a server sees the whole Cluster. */
async function whole(admin: Redis): Promise<void> {
  await until('the Cluster to come up', async () => {
    const info = String(await admin.call('CLUSTER', 'INFO'));
    return /cluster_state:ok/.test(info) && /cluster_known_nodes:6/.test(info);
  });
}
