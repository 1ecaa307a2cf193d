import type { Broker } from '../../../lib/brokers/broker.js';
import {
  RecordingListener,
  type BrokerHarness,
  type BrokerHarnessFactory,
  type ContractNode,
  type ContractWindows,
} from '../../../lib/brokers/contract/index.js';
import { memoryBroker, MemoryStore } from '../../../lib/brokers/memory/index.js';
import { ManualClock, settle, steadyWall } from '../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../support/engine/seeded-entropy.js';

const WINDOWS: ContractWindows = {
  dedupeMs: 300_000,
  ttlMs: 600_000,
  leaseMs: 30_000,
  graceMs: 5_000,
  controlTimeoutMs: 5_000,
  slackMs: 1,
};

interface MemoryHarnessOptions {
  /** Cases of each randomized test. */
  readonly runs: number;
  /** Stands between the contract and each broker. */
  readonly wrap?: ((broker: Broker) => Broker) | undefined;
}

/** Memory brokers over one store, on a clock that the test moves. */
export function memoryHarnessOf(options: MemoryHarnessOptions): BrokerHarnessFactory {
  return {
    capabilities: { durability: 'process', dedupes: true, presence: true },
    faults: ['loseEverything', 'loseEnd'],
    create: async () => createHarness(options),
  };
}

export const memoryHarness = memoryHarnessOf({ runs: 300 });

function createHarness({ runs, wrap = (broker) => broker }: MemoryHarnessOptions): BrokerHarness {
  const clock = new ManualClock();
  const store = new MemoryStore({ clock: steadyWall(clock), entropy: new SeededEntropy() });
  const nodes: ContractNode[] = [];
  return {
    windows: WINDOWS,
    runs,
    faults: {
      loseEverything: async (channels) => {
        for (const channel of channels) store.clear(channel);
      },
      loseEnd: async (channel, keep) => store.failOver(channel, keep),
    },
    async node() {
      const node: ContractNode = {
        id: `node${nodes.length + 1}`,
        broker: wrap(memoryBroker({ store, controlTimeoutMs: WINDOWS.controlTimeoutMs })),
        seen: new RecordingListener(),
      };
      nodes.push(node);
      await node.broker.start(node.seen, node.id);
      return node;
    },
    advance: (ms) => clock.advanceAsync(ms),
    quiet: settle,
    async dispose() {
      for (const { broker } of nodes) await broker.close();
      if (clock.pending > 0) throw new Error(`${clock.pending} timers outlived the brokers`);
    },
  };
}
