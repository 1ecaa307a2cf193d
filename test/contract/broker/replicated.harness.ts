import {
  RecordingListener,
  type BrokerHarness,
  type BrokerHarnessFactory,
  type ContractNode,
  type ContractWindows,
} from '../../../lib/brokers/contract/index.js';
import { ReplicatedBroker } from '../../../lib/brokers/replicated/broker.js';
import type { Clock } from '../../../lib/core/ports/clock.js';
import { ManualClock, settle } from '../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../support/engine/seeded-entropy.js';
import { MemoryLogServer } from '../../support/ordered-log/memory-server.js';

const PARTITIONS = 3;

const WINDOWS: ContractWindows = {
  dedupeMs: 60_000,
  ttlMs: 90_000,
  leaseMs: 30_000,
  graceMs: 5_000,
  controlTimeoutMs: 5_000,
  slackMs: 2_001,
};

/** Brokers over one log in memory, on a clock that the test moves. */
export function replicatedHarness(detectsCuts: 'log' | 'readers', runs = 40): BrokerHarnessFactory {
  return {
    capabilities: { durability: 'broker', dedupes: true, presence: true },
    faults: ['loseEverything'],
    bounds: ['historyBytes', 'idsOfProducer'],
    messages: true,
    transitions: true,
    erases: true,
    create: async () => createHarness(detectsCuts, runs),
  };
}

function createHarness(detectsCuts: 'log' | 'readers', runs: number): BrokerHarness {
  const clock = new ManualClock();
  // The server's own wall clock, which does not jump unless a test says so.
  const serverClock: Clock = {
    now: () => 1_767_225_600_000 + clock.monotonic(),
    monotonic: () => clock.monotonic(),
    schedule: (ms, task) => clock.schedule(ms, task),
  };
  const serverOf = () => new MemoryLogServer({ clock: serverClock, partitions: PARTITIONS, detectsCuts });
  const server = serverOf();
  const nodes: ContractNode[] = [];
  const node = async (over: MemoryLogServer, options: { readonly maxIdBytes?: number } = {}) => {
    const broker = new ReplicatedBroker(
      { name: 'replicated', durability: 'broker', partitions: PARTITIONS, open: async () => over.open() },
      {
        clock,
        entropy: new SeededEntropy(nodes.length + 1),
        controlTimeoutMs: WINDOWS.controlTimeoutMs,
        ...options,
      },
    );
    const made: ContractNode = { id: `node${nodes.length + 1}`, broker, seen: new RecordingListener() };
    nodes.push(made);
    await made.broker.start(made.seen, made.id);
    return made;
  };
  const quiet = async (): Promise<void> => {
    for (let turn = 0; turn < 30; turn += 1) await settle();
  };
  return {
    windows: WINDOWS,
    runs,
    faults: {
      async loseEverything() {
        server.recreate();
        await quiet();
        await clock.advanceAsync(1_000);
        await quiet();
      },
    },
    node: async () => node(server),
    crowdedNode: async () => node(serverOf(), { maxIdBytes: 300_000 }),
    async advance(ms) {
      await clock.advanceAsync(ms);
      await quiet();
    },
    quiet,
    async dispose() {
      for (const { broker } of nodes) await broker.close();
    },
  };
}
