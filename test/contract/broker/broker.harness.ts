import type { Broker, BrokerCapabilities } from '../../../lib/core/ports/broker.js';
import type { RecordingListener } from '../../support/recording-listener.js';

/** A started broker and what its listener was told. */
export interface ContractNode {
  readonly id: string;
  readonly broker: Broker;
  readonly seen: RecordingListener;
}

/** Times in milliseconds: long and free on a manual clock, short where a broker really has to be waited for. */
export interface ContractWindows {
  readonly dedupeMs: number;
  /** Age at which history is trimmed. */
  readonly ttlMs: number;
  readonly leaseMs: number;
  readonly graceMs: number;
  /** After this long a node that does not confirm a control record is missing. */
  readonly controlTimeoutMs: number;
  /** How late, at most, the broker notices that any of these has passed. */
  readonly slackMs: number;
}

/** Faults of the broker that a harness may know how to cause. What it leaves out is not tested for that broker. */
export interface BrokerFaults {
  /** The broker comes back without data; the nodes stay. */
  loseEverything(channels: readonly string[]): Promise<void>;
  /** The broker comes back with what it held up to `keep`: a failover to a replica that lagged. */
  loseEnd(channel: string, keep: number): Promise<void>;
  /** The broker comes back with all it held, as a new incarnation; the nodes stay. */
  restart(): Promise<void>;
  /** What is appended while `during` runs never reaches this node's listener. */
  loseDeliveries(node: ContractNode, during: () => Promise<void>): Promise<void>;
}

/** One broker with an empty log, for one test. */
export interface BrokerHarness {
  readonly windows: ContractWindows;
  readonly faults: Partial<BrokerFaults>;
  /** Rounds of the randomised tests. */
  readonly runs: number;
  /** Makes and starts one more node over the same log. */
  node(): Promise<ContractNode>;
  /** Lets time pass for the broker. */
  advance(ms: number): Promise<void>;
  /** Resolves when whatever is on its way to a listener has arrived: makes "nothing came" worth something. */
  quiet(): Promise<void>;
  /** Closes every node and removes what the test stored. */
  dispose(): Promise<void>;
}

/** Says, before any test runs, what of the contract a broker is held to. */
export interface BrokerHarnessFactory {
  readonly capabilities: BrokerCapabilities;
  readonly faults: readonly (keyof BrokerFaults)[];
  create(): Promise<BrokerHarness>;
}
