import {
  RecordingListener,
  type BrokerHarness,
  type BrokerHarnessFactory,
  type ContractNode,
  type ContractWindows,
} from '../../../lib/brokers/contract/index.js';
import type { Broker } from '../../../lib/brokers/broker.js';
import type { ReplicatedOptions } from '../../../lib/brokers/replicated/settings.js';
import { elapse, stretched } from '../../support/patience.js';

/** Short ones: the tests wait for them. Leases are longer than {@link NODE_TTL_MS}, so that the nodes' own keep them. */
const WINDOWS: ContractWindows = {
  dedupeMs: stretched(4_000),
  ttlMs: stretched(4_000),
  leaseMs: stretched(3_500),
  graceMs: stretched(1_500),
  controlTimeoutMs: stretched(2_000),
  slackMs: stretched(1_700),
};
const NODE_TTL_MS = stretched(2_500);

/**
 * Brokers over a real log.
 *
 * @param make A broker over the log of this name, which is empty the first time.
 * @param remove Deletes the log of this name, which nobody has open.
 */
export function realLogHarness(
  make: (name: string, options: ReplicatedOptions) => Broker,
  quietMs: number,
  remove: (name: string) => Promise<void>,
): BrokerHarnessFactory {
  let names = 0;
  return {
    capabilities: { durability: 'broker', dedupes: true, presence: true },
    faults: [],
    bounds: ['historyBytes', 'idsOfProducer'],
    messages: true,
    transitions: true,
    erases: true,
    create: async () => createHarness(make, () => `t${++names}`, quietMs, remove),
  };
}

function createHarness(
  make: (name: string, options: ReplicatedOptions) => Broker,
  nextName: () => string,
  quietMs: number,
  remove: (name: string) => Promise<void>,
): BrokerHarness {
  const name = nextName();
  const used = new Set([name]);
  const nodes: ContractNode[] = [];
  const node = async (over: string, options: ReplicatedOptions = {}): Promise<ContractNode> => {
    const { controlTimeoutMs } = WINDOWS;
    const broker = make(over, { heartbeatMs: 500, nodeTtlMs: NODE_TTL_MS, controlTimeoutMs, ...options });
    const made: ContractNode = { id: `node${nodes.length + 1}`, broker, seen: new RecordingListener() };
    nodes.push(made);
    await broker.start(made.seen, made.id);
    return made;
  };
  return {
    windows: WINDOWS,
    runs: 8,
    faults: {},
    node: () => node(name),
    crowdedNode: () => {
      const crowded = nextName();
      used.add(crowded);
      return node(crowded, { maxIdBytes: 200_000 });
    },
    advance: elapse,
    quiet: () => elapse(quietMs),
    async dispose() {
      for (const { broker } of nodes) await broker.close();
      for (const each of used) await remove(each);
    },
  };
}
