// The master behind Sentinels is killed under load. Replication is asynchronous, so the new master may
// lack the end of the logs: that must be announced (G1, G6). 200 clients.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { RECOVERY_MS, runFault, type ScenarioResult } from '../support/fault/scenario.js';
import { elapse, patience, stretched } from '../support/patience.js';
import { redisSentinels, type SentinelDeployment } from '../support/redis/sentinels.js';

const TIMEOUT_MS = patience(30_000);

let deployment: SentinelDeployment;
let replica: Redis;

beforeEach(async () => {
  deployment = await redisSentinels(stretched(1_000));
  replica = new Redis(deployment.replica.url);
});

afterEach(async () => {
  replica.disconnect();
  await deployment.dispose();
});

async function failOver(name: string, before: () => Promise<void>): Promise<ScenarioResult> {
  const client = deployment.client() as Redis;
  const sentinels = (client.options.sentinels ?? []).map(({ host = '', port = 0 }) => ({ host, port }));
  const result = await runFault(
    name,
    replica,
    { redis: { sentinel: { name: client.options.name ?? '', sentinels } } },
    async () => {
      await before();
      await deployment.master.kill();
      await deployment.promoted(deployment.replica);
      return performance.now();
    },
    { mayLose: true },
  );
  expect(result.report).toMatchObject({ gaps: 0, truncations: 0, unknown: 0, refused: 0 });
  expect(result.disconnects).toBe(0);
  expect(result.recoveryMs).toBeLessThanOrEqual(RECOVERY_MS);
  return result;
}

describe('many nodes over a master behind Sentinels', () => {
  it(
    'delivery continues from the replica when the master is killed (G6)',
    async () => {
      await failOver('Sentinel failover', async () => undefined);
    },
    TIMEOUT_MS,
  );

  it(
    'what was acknowledged and lost is announced when the replica lagged behind the killed master (G6)',
    async () => {
      const { report } = await failOver('Sentinel failover to a lagging replica', async () => {
        // The replica loses its master, and is refused whenever it comes back.
        await replica.config('SET', 'masterauth', 'nobody asked for one');
        await replica.call('CLIENT', 'KILL', 'TYPE', 'master');
        await elapse(stretched(500));
      });
      expect(report.lostByBroker).toBeGreaterThan(0);
      expect(report.losses).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
});
