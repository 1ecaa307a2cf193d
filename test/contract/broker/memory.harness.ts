import { memoryBroker, MemoryStore } from '../../../lib/brokers/memory/index.js';
import { ManualClock, settle } from '../../support/manual-clock.js';
import { RecordingListener } from '../../support/recording-listener.js';
import { SeededEntropy } from '../../support/seeded-entropy.js';
import type { BrokerHarness, BrokerHarnessFactory, ContractNode, ContractWindows } from './broker.harness.js';

const WINDOWS: ContractWindows = {
  dedupeMs: 300_000,
  ttlMs: 600_000,
  leaseMs: 30_000,
  graceMs: 5_000,
  controlTimeoutMs: 5_000,
  slackMs: 1,
};

/** Memory brokers over one store, on a clock that the test moves. */
export const memoryHarness: BrokerHarnessFactory = {
  capabilities: { durability: 'process', dedupes: true, denseSeq: true, presence: true },
  faults: ['loseEverything', 'loseEnd'],
  create: async () => createHarness(),
};

function createHarness(): BrokerHarness {
  const clock = new ManualClock();
  const store = new MemoryStore({ clock, entropy: new SeededEntropy() });
  const nodes: ContractNode[] = [];
  return {
    windows: WINDOWS,
    runs: 300,
    faults: {
      loseEverything: async (channels) => {
        for (const channel of channels) store.clear(channel);
      },
      loseEnd: async (channel, keep) => store.failOver(channel, keep),
    },
    async node() {
      const node: ContractNode = {
        id: `node${nodes.length + 1}`,
        broker: memoryBroker({ store, controlTimeoutMs: WINDOWS.controlTimeoutMs }),
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
