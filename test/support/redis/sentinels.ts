import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { loseEnd, spoilEvent, type RedisDeployment } from './deployment.js';
import { RedisProcess } from './process.js';
import { until } from '../until.js';

/** A master with a replica, watched by three Sentinels. */
export interface SentinelDeployment extends RedisDeployment {
  readonly master: RedisProcess;
  readonly replica: RedisProcess;
  /** Resolves when the Sentinels name this server as the master. */
  promoted(server: RedisProcess): Promise<void>;
}

const NAME = 'main';

/**
 * @param downAfterMs After this long without an answer the master counts as down.
 * @param through Makes the way by which replica and Sentinels reach the master. Default: directly. @returns its port.
 */
export async function redisSentinels(
  downAfterMs = 5_000,
  through: (master: number) => Promise<number> = (port) => Promise.resolve(port),
): Promise<SentinelDeployment> {
  const args = ['--enable-debug-command', 'local', '--repl-diskless-sync-delay', '0'];
  const master = await RedisProcess.start({ args });
  const port = await through(master.port);
  const replica = await RedisProcess.start({
    args: [...args, '--replicaof', `127.0.0.1 ${port}`],
  });
  await synced(replica);
  const folder = mkdtempSync(join(tmpdir(), 'rt-sentinel-'));
  const sentinels = await Promise.all(
    [1, 2, 3].map((number) => {
      const configFile = join(folder, `sentinel-${number}.conf`);
      writeFileSync(
        configFile,
        [
          `sentinel monitor ${NAME} 127.0.0.1 ${port} 2`,
          `sentinel down-after-milliseconds ${NAME} ${downAfterMs}`,
          `sentinel failover-timeout ${NAME} 5000`,
          '',
        ].join('\n'),
      );
      return RedisProcess.start({ program: 'redis-sentinel', configFile });
    }),
  );
  const admin = new Redis(master.url, { retryStrategy: () => 50 });
  admin.on('error', () => undefined);
  const watcher = new Redis(sentinels[0]?.url ?? '', { retryStrategy: () => 50 });
  watcher.on('error', () => undefined);
  await until('the Sentinels to agree', async () => {
    const found = await watcher.call('SENTINEL', 'CKQUORUM', NAME).catch(() => '');
    return String(found).startsWith('OK 3');
  });
  return {
    master,
    replica,
    options: {},
    client: () =>
      new Redis({
        name: NAME,
        sentinels: sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
        lazyConnect: true,
      }),
    flush: async () => void (await admin.flushall()),
    async restart() {
      await master.kill();
      await master.launch();
    },
    loseEnd: (keys, channel, keep) => loseEnd(admin, admin, keys, channel, keep),
    spoilEvent: (keys, channel, seq) => spoilEvent(admin, keys, channel, seq),
    promoted: (server) =>
      until('the Sentinels to name the new master', async () => {
        const address = (await watcher.call('SENTINEL', 'get-master-addr-by-name', NAME)) as [string, string];
        return address[1] === String(server.port);
      }),
    async dispose() {
      admin.disconnect();
      watcher.disconnect();
      await Promise.all([...sentinels, master, replica].map((server) => server.dispose()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Waits until a replica follows its master. */
export async function synced(replica: RedisProcess): Promise<void> {
  const client = new Redis(replica.url);
  client.on('error', () => undefined);
  await until('the replica to follow its master', async () =>
    /master_link_status:up/.test(await client.info('replication')),
  );
  client.disconnect();
}
