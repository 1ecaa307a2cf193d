import type { Broker } from '../../../lib/brokers/broker.js';
import {
  RecordingListener,
  type BrokerHarness,
  type BrokerHarnessFactory,
  type ContractNode,
  type ContractWindows,
} from '../../../lib/brokers/contract/index.js';
import { memoryBroker, MemoryStore } from '../../../lib/brokers/memory/index.js';
import { ChannelEvent } from '../../../lib/core/ports/channel-event.js';
import type { Clock } from '../../../lib/core/ports/clock.js';
import { ManualClock, settle } from '../../support/engine/manual-clock.js';
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
  /** Whether the broker counts times by the wall clock: a fault. */
  readonly wallClock?: boolean | undefined;
}

/** Memory brokers over one store, on a clock that the test moves. */
export function memoryHarnessOf(options: MemoryHarnessOptions): BrokerHarnessFactory {
  return {
    capabilities: { durability: 'process', dedupes: true, presence: true },
    faults: ['loseEverything', 'loseEnd', 'spoilEvent', 'stepWallClock'],
    bounds: ['historyBytes', 'idsOfProducer'],
    messages: true,
    transitions: true,
    erases: true,
    create: async () => createHarness(options),
  };
}

export const memoryHarness = memoryHarnessOf({ runs: 300 });

function createHarness({
  runs,
  wrap = (broker) => broker,
  wallClock = false,
}: MemoryHarnessOptions): BrokerHarness {
  const clock = new ManualClock();
  const times: Clock = wallClock
    ? {
        now: () => clock.now(),
        monotonic: () => clock.now(),
        schedule: (ms, task) => clock.schedule(ms, task),
      }
    : clock;
  const store = new MemoryStore({ clock: times, entropy: new SeededEntropy() });
  const node = async (over: MemoryStore): Promise<ContractNode> => {
    const made: ContractNode = {
      id: `node${nodes.length + 1}`,
      broker: wrap(memoryBroker({ store: over, controlTimeoutMs: WINDOWS.controlTimeoutMs })),
      seen: new RecordingListener(),
    };
    nodes.push(made);
    await made.broker.start(made.seen, made.id);
    return made;
  };
  const nodes: ContractNode[] = [];
  return {
    windows: WINDOWS,
    runs,
    faults: {
      loseEverything: async (channels) => {
        for (const channel of channels) store.clear(channel);
      },
      loseEnd: async (channel, keep) => store.failOver(channel, keep),
      // What is in memory cannot be spoiled: it is given the form that a broker must give it.
      async spoilEvent(channel, seq) {
        const [event] = store.read({ channel, from: seq, limit: 1 }).events;
        if (event?.seq !== seq) throw new Error(`${channel} has no event ${seq}`);
        Object.assign(event, ChannelEvent.unreadable(event));
      },
      stepWallClock: async (ms) => clock.jump(ms),
    },
    node: () => node(store),
    crowdedNode: () => node(new MemoryStore({ clock, entropy: new SeededEntropy(), maxIdBytes: 200_000 })),
    advance: (ms) => clock.advanceAsync(ms),
    quiet: settle,
    async dispose() {
      for (const { broker } of nodes) await broker.close();
      if (clock.pending > 0) throw new Error(`${clock.pending} timers outlived the brokers`);
    },
  };
}
