import type { OrderedLog } from '../../../lib/brokers/replicated/ordered-log.js';
import type { SeededEntropy } from '../engine/seeded-entropy.js';
import { elapse } from '../patience.js';
import type { FaultBroker } from './broker.js';
import type { FaultCluster } from './cluster.js';
import { print, runFault, SEED } from './scenario.js';
import type { HistoryReport } from './history-types.js';

/** Nodes of each deployment. */
export const NODES = 3;
/** Publishes a second of each node's publisher. */
const RATE = 20;

/** What is done while nodes, clients and publishers are at work. */
export interface FaultRound {
  readonly cluster: FaultCluster;
  readonly entropy: SeededEntropy;
}

/** Something that happens to servers or nodes. Resolves when it is over. */
export type SiteFault = (round: FaultRound) => Promise<void>;

/** Servers of an ordered log, and what can happen to them. */
export interface OrderedSite {
  readonly name: string;
  /** After these the log has all that was acknowledged. */
  readonly faults: Readonly<Record<string, SiteFault>>;
  /** After these it may lack some, which must be announced. */
  readonly losing: Readonly<Record<string, SiteFault>>;
  /** An empty log for the next deployment. */
  renew(): Promise<void>;
  brokerOf(node: number): FaultBroker;
  /** Opens the log of the present deployment, past every proxy. */
  open(): Promise<OrderedLog>;
  dispose(): Promise<void>;
}

/** Runs faults one after the other in a deployment of its own, and judges the history: any violation throws. */
export async function runOnSite(
  site: OrderedSite,
  names: readonly string[],
  entropy: SeededEntropy,
  clients: number,
): Promise<HistoryReport> {
  await site.renew();
  const all = { ...site.faults, ...site.losing };
  const mayLose = names.some((name) => name in site.losing);
  const { report } = await runFault(
    `${site.name}: ${names.join(' ')}`,
    () => site.open(),
    { seed: SEED, nodes: NODES, clients, rate: RATE, brokerOf: (node) => site.brokerOf(node) },
    async (cluster) => {
      const times: Record<string, number> = {};
      for (const name of names) {
        const fault = all[name];
        if (fault === undefined) throw new Error(`${site.name} has no fault ${name}`);
        await fault({ cluster, entropy });
        times[name] = names.length === 1 ? 0 : await cluster.untilRecovered(performance.now());
        await elapse(entropy.int(500));
      }
      if (names.length > 1) print(`${site.name}, until all clients receive again, ms`, times);
      return performance.now();
    },
    { mayLose },
  );
  return report;
}

/** Ends a node at once, and starts another in its place. */
export const killNode: SiteFault = ({ cluster, entropy }) => cluster.replace(entropy.int(NODES));
