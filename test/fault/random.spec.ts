// Random faults of Redis and of nodes, one after the other and into one another's recovery, for as long as MINUTES=n says; without it
// a sample. Each round is a deployment of its own with the next seed, judged by the history checker. RANDOM_SEED=n begins elsewhere;
// a round that fails names its seed.
import { describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { CutProxy } from '../support/fault/cut-proxy.js';
import type { FaultCluster } from '../support/fault/cluster.js';
import { flushAll } from '../support/fault/log.js';
import { print, runFault } from '../support/fault/scenario.js';
import { elapse, patience, stretched } from '../support/patience.js';
import { RedisProcess } from '../support/redis/process.js';
import { redisSentinels, synced } from '../support/redis/sentinels.js';
import { SeededEntropy } from '../support/engine/seeded-entropy.js';

const FIRST_SEED = Number(process.env['RANDOM_SEED'] ?? 1);
const MINUTES = Number(process.env['MINUTES'] ?? 0);
const CLIENTS = 40;
const RATE = 15;
/** Faults of a round. */
const FAULTS = MINUTES > 0 ? 8 : 4;
const NODES = 3;

interface Round {
  readonly entropy: SeededEntropy;
  readonly cluster: FaultCluster;
}

type Fault = (round: Round) => Promise<void>;
type Faults = Readonly<Record<string, Fault>>;

/** Those after which a log may be shorter than what was acknowledged: this must be announced. */
const LOSING: ReadonlySet<string> = new Set(['flush', 'failover', 'kill-master']);

const killNode: Fault = ({ cluster, entropy }) => cluster.replace(entropy.int(NODES));

/** Lets a server refuse every write for some time. */
async function refuse(server: RedisProcess, entropy: SeededEntropy, option: string): Promise<void> {
  const admin = new Redis(server.url);
  admin.on('error', () => undefined);
  try {
    await admin.config('SET', option, '1');
    await elapse(300 + entropy.int(3_000));
    await admin.config('SET', option, '0');
  } finally {
    admin.disconnect();
  }
}

async function pause(server: RedisProcess, entropy: SeededEntropy): Promise<void> {
  server.pause();
  // The broker gives a command up after 3 s.
  await elapse(200 + entropy.int(4_000));
  server.resume();
}

function single(server: RedisProcess, proxies: readonly CutProxy[]): Faults {
  return {
    async restart({ entropy }) {
      await server.kill();
      await elapse(entropy.int(800));
      await server.launch();
    },
    pause: ({ entropy }) => pause(server, entropy),
    flush: () => flushAll(server),
    full: ({ entropy }) => refuse(server, entropy, 'maxmemory'),
    'no-replicas': ({ entropy }) => refuse(server, entropy, 'min-replicas-to-write'),
    async cut({ entropy }) {
      const proxy = entropy.pick(proxies);
      proxy.cut();
      await elapse(200 + entropy.int(4_000));
      proxy.mend();
    },
    'kill-node': killNode,
  };
}

async function inSingle(seed: number, names: (faults: Faults) => readonly string[]): Promise<void> {
  const server = await RedisProcess.start();
  const proxies = await Promise.all(Array.from({ length: NODES }, () => CutProxy.start(server.port)));
  try {
    const faults = single(server, proxies);
    const redisOf = (node: number) => ({ url: proxies[node]?.url ?? server.url });
    await run(seed, server.url, { redis: { url: server.url }, redisOf }, faults, names(faults));
  } finally {
    await Promise.all(proxies.map((proxy) => proxy.close()));
    await server.dispose();
  }
}

async function inSentinel(seed: number, names: (faults: Faults) => readonly string[]): Promise<void> {
  const deployment = await redisSentinels(stretched(1_000));
  let [master, replica] = [deployment.master, deployment.replica];
  const admin = deployment.client() as Redis;
  admin.on('error', () => undefined);
  try {
    const promoted = async (): Promise<void> => {
      await deployment.promoted(replica);
      [master, replica] = [replica, master];
    };
    const faults: Faults = {
      async failover() {
        await synced(replica);
        const { sentinels = [] } = admin.options;
        const watcher = new Redis(sentinels[0] as { host: string; port: number });
        try {
          // Refused as long as the one before is not over.
          while ((await watcher.call('SENTINEL', 'FAILOVER', 'main').catch(() => '')) !== 'OK')
            await elapse(200);
        } finally {
          watcher.disconnect();
        }
        await promoted();
      },
      async 'kill-master'({ entropy }) {
        await synced(replica);
        await master.kill();
        await promoted();
        await elapse(entropy.int(1_000));
        await replica.launch();
      },
      pause: ({ entropy }) => pause(replica, entropy),
      full: ({ entropy }) => refuse(master, entropy, 'maxmemory'),
      'kill-node': killNode,
    };
    const sentinels = (admin.options.sentinels ?? []).map(({ host = '', port = 0 }) => ({ host, port }));
    const redis = { sentinel: { name: admin.options.name ?? '', sentinels } };
    admin.connect().catch(() => undefined);
    await run(seed, admin, { redis }, faults, names(faults));
  } finally {
    admin.disconnect();
    await deployment.dispose();
  }
}

async function run(
  seed: number,
  admin: Parameters<typeof runFault>[1],
  options: Parameters<typeof runFault>[2],
  faults: Faults,
  names: readonly string[],
): Promise<void> {
  const entropy = new SeededEntropy(seed);
  const mayLose = names.some((name) => LOSING.has(name));
  const { report } = await runFault(
    `random ${seed}: ${names.join(' ')}`,
    admin,
    { ...options, seed, nodes: NODES, clients: CLIENTS, rate: RATE },
    async (cluster) => {
      for (const name of names) {
        await faults[name]?.({ entropy, cluster });
        await elapse(entropy.int(1_500));
      }
      return performance.now();
    },
    { mayLose },
  );
  if (!mayLose) expect(report).toMatchObject({ losses: 0 });
  expect(report).toMatchObject({ gaps: 0, truncations: 0, refused: 0 });
}

describe('random faults', () => {
  it(
    'are survived without a violation, whatever comes after what (G1, G3, G6, G21)',
    async () => {
      const until = performance.now() + MINUTES * 60_000;
      let rounds = 0;
      for (let seed = FIRST_SEED; rounds === 0 || performance.now() < until; seed++) {
        const entropy = new SeededEntropy(seed);
        const names = (faults: Faults): readonly string[] =>
          Array.from({ length: FAULTS }, () => entropy.pick(Object.keys(faults)));
        // Every third one: failovers take their time.
        if (seed % 3 === 0) await inSentinel(seed, names);
        else await inSingle(seed, names);
        rounds++;
      }
      print('random faults', { rounds, faults: rounds * FAULTS });
      expect(rounds).toBeGreaterThan(0);
    },
    patience(120_000 + MINUTES * 60_000),
  );
});
