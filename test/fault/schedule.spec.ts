// Faults after one another and into one another's recovery, in an order that a seed decides. FAULT_SEED=n runs another
// schedule, which must hold as well; one that fails is to be added to SEEDS.
import { describe, expect, it } from '@jest/globals';
import { flushAll } from '../support/fault/log.js';
import type { FaultCluster } from '../support/fault/cluster.js';
import { print, runSingle, SEED } from '../support/fault/scenario.js';
import { elapse } from '../support/patience.js';
import type { RedisProcess } from '../support/redis/process.js';
import { SeededEntropy } from '../support/engine/seeded-entropy.js';

const SEEDS = [...new Set([1, SEED])];
const FAULTS = 5;

type Fault = (server: RedisProcess, cluster: FaultCluster, entropy: SeededEntropy) => Promise<void>;

const faults: Readonly<Record<string, Fault>> = {
  async restart(server, _, entropy) {
    await server.kill();
    await elapse(entropy.int(800));
    await server.launch();
  },
  async pause(server, _, entropy) {
    server.pause();
    // The broker gives a command up after 3 s.
    await elapse(200 + entropy.int(4_500));
    server.resume();
  },
  flush: (server) => flushAll(server),
  async kill(_, { nodes }, entropy) {
    const alive = nodes.filter((node) => node.alive);
    if (alive.length > 1) await entropy.pick(alive).kill();
  },
};

describe('a schedule of faults', () => {
  it.each(SEEDS)('announces every loss (seed %i)', async (seed) => {
    const entropy = new SeededEntropy(seed);
    const names = Array.from({ length: FAULTS }, () => entropy.pick(Object.keys(faults)));
    print(`seed ${seed}`, { schedule: names.join(' ') });
    const result = await runSingle(
      `schedule of seed ${seed}`,
      async (server, cluster) => {
        for (const name of names) {
          await faults[name]?.(server, cluster, entropy);
          await elapse(entropy.int(1_200));
        }
        return performance.now();
      },
      { check: { mayLose: names.includes('flush') } },
    );
    if (!names.includes('flush')) expect(result.report).toMatchObject({ losses: 0 });
    expect(result.report).toMatchObject({ gaps: 0, truncations: 0, unknown: 0, refused: 0 });
  });
});
