import { Redis, type Cluster } from 'ioredis';
import type { OrderedLog } from '../../../lib/brokers/replicated/ordered-log.js';
import { FaultCluster, type FaultClusterOptions, type LogSource } from './cluster.js';
import { FaultRawClient } from './raw-client.js';
import { describeViolations, type CheckOptions } from './history-checker.js';
import type { HistoryReport } from './history-types.js';
import { LogFollower } from './log-follower.js';
import { elapse, stretched } from '../patience.js';
import { RedisProcess, type RedisProcessOptions } from '../redis/process.js';

export const CLIENTS = Number(process.env['FAULT_CLIENTS'] ?? 200);
/** Of each publisher: all clients live in the test's one process, which must not be what is measured. */
export const RATE = 20;
export const SEED = Number(process.env['FAULT_SEED'] ?? 1);
/** Beyond the outage. */
export const RECOVERY_MS = stretched(1_000);

export interface ScenarioResult {
  readonly report: HistoryReport;
  readonly recoveryMs: number;
  /** Of the clients that speak the bare protocol, without the library's pauses and tickets. */
  readonly rawRecoveryMs: number;
  readonly disconnects: number;
}

/** What happens to a cluster under load. @returns when the outage ended, in `performance.now()`. */
export type Fault = (cluster: FaultCluster) => Promise<number>;

/** What reads the logs past the library: the address of a Redis, a client of it, or what opens an ordered log. */
export type Admin = string | Redis | Cluster | (() => Promise<OrderedLog>);

/** One fault under load, judged. */
export async function runFault(
  name: string,
  admin: Admin,
  options: Partial<FaultClusterOptions>,
  fault: Fault,
  check?: CheckOptions,
): Promise<ScenarioResult> {
  const cluster = await FaultCluster.start({ seed: SEED, clients: CLIENTS, rate: RATE, ...options });
  try {
    await elapse(500);
    const faultAt = performance.now();
    const endedAt = await fault(cluster);
    const recoveryMs = await cluster.untilRecovered(endedAt);
    await elapse(500);
    const report = await withClient(admin, (client) => cluster.judge(client, check));
    const { disconnects } = cluster;
    const rawRecoveryMs = cluster.recovery.msOf((client) => client instanceof FaultRawClient);
    const { publishedMs } = cluster.recovery;
    print(name, {
      outageMs: Math.round(endedAt - faultAt),
      recoveryMs,
      rawRecoveryMs,
      publishedMs,
      disconnects,
      ...report,
    });
    if (report.violations.length > 0)
      throw new Error(
        `${name}, seed ${options.seed ?? SEED}: ${describeViolations(report.violations)}\n${cluster.troubles.slice(-5).join('\n')}`,
      );
    return { report, recoveryMs, rawRecoveryMs, disconnects };
  } finally {
    await cluster.dispose();
  }
}

/** Like {@link runFault}, with a server of the scenario's own. */
export async function runSingle(
  name: string,
  fault: (server: RedisProcess, cluster: FaultCluster) => Promise<number>,
  {
    check,
    process: settings,
  }: { readonly check?: CheckOptions; readonly process?: RedisProcessOptions } = {},
): Promise<ScenarioResult> {
  const server = await RedisProcess.start(settings);
  try {
    return await runFault(
      name,
      server.url,
      { redis: { url: server.url } },
      (cluster) => fault(server, cluster),
      check,
    );
  } finally {
    await server.dispose();
  }
}

/** One line per scenario in the test's output. */
export function print(name: string, figures: Readonly<Record<string, unknown>>): void {
  const shown = Object.entries(figures).map(
    ([key, value]) => `${key} ${Array.isArray(value) ? value.length : String(value)}`,
  );
  process.stdout.write(`  fault: ${name}: ${shown.join(', ')}\n`);
}

async function withClient<T>(admin: Admin, work: (source: LogSource) => Promise<T>): Promise<T> {
  if (typeof admin === 'function') {
    const follower = await LogFollower.open(admin);
    return await work(follower).finally(() => follower.close());
  }
  if (typeof admin !== 'string') return await work(admin);
  const client = new Redis(admin, { retryStrategy: () => 50 });
  client.on('error', () => undefined);
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}
