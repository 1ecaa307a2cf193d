import type { Broker, BrokerCapabilities } from '../../core/ports/broker.js';
import type { RecordingListener } from './recording-listener.js';

/** A started broker, and the listener that recorded its calls. */
export interface ContractNode {
  /** The `nodeId` that the broker was started with; no two nodes of a harness share one. */
  readonly id: string;
  /** The broker under test. */
  readonly broker: Broker;
  /** Everything that the broker notified its node of. */
  readonly seen: RecordingListener;
}

/**
 * How long things last for the broker of a harness, in milliseconds. Long where a manual clock makes time free; short
 * where a test has to wait, but longer than what the test does in the meantime takes on a busy machine: about two
 * seconds.
 */
export interface ContractWindows {
  /** Passed as `policy.dedupeMs` where a test waits for an id to be forgotten. */
  readonly dedupeMs: number;
  /** Passed as `policy.ttlMs` where a test waits for history to be trimmed by age. */
  readonly ttlMs: number;
  /** Passed as `leaseMs` where a test waits for a lease to run out. */
  readonly leaseMs: number;
  /** Passed as `graceMs` where a test waits for a grace to run out. Shorter than `leaseMs`. */
  readonly graceMs: number;
  /** After this long the broker's `control` reports a node that did not confirm as missing. */
  readonly controlTimeoutMs: number;
  /** How late, at most, the broker notices that any of these has passed. */
  readonly slackMs: number;
}

/** Faults of the storage behind the broker that a harness can cause. One that it leaves out registers no tests. */
export interface BrokerFaults {
  /** The storage comes back without data; the nodes stay. `channels` are those of the test. */
  loseEverything(channels: readonly string[]): Promise<void>;
  /** The storage comes back with `seq` 1 to `keep` of the channel: a failover to a replica that lagged. */
  loseEnd(channel: string, keep: number): Promise<void>;
  /** The storage comes back with all its data, as a new incarnation; the nodes stay. */
  restart(): Promise<void>;
  /** The wall clock of the nodes, and of the storage where it has one of its own, moves by `ms`; no time passes. */
  stepWallClock(ms: number): Promise<void>;
  /**
   * The stored event with this `seq` can no longer be read, as if another program had written over it; the events beside it can.
   * The tests append each event by a call of its own.
   */
  spoilEvent(channel: string, seq: number): Promise<void>;
  /** What is appended while `during` runs never reaches this node's listener. */
  loseDeliveries(node: ContractNode, during: () => Promise<void>): Promise<void>;
}

/**
 * Bounds that a broker keeps. Every broker must keep the first; a factory that leaves one out registers no tests of it.
 *
 * - `historyBytes`: `policy.maxBytes`.
 * - `idsOfProducer`: a producer cannot spend the memory for ids of the others; the harness makes a node where that takes few.
 */
export type BrokerBound = 'historyBytes' | 'idsOfProducer';

/** One broker with an empty log, for one test. */
export interface BrokerHarness {
  /** How long leases, windows and time-outs last for this broker. */
  readonly windows: ContractWindows;
  /** Every fault that the factory names. */
  readonly faults: Partial<BrokerFaults>;
  /** Cases of each randomized test, at least 1: 300 where a case takes a millisecond, 8 over a network. */
  readonly runs: number;
  /** Makes and starts one more node over the same log. */
  node(): Promise<ContractNode>;
  /**
   * Makes and starts a node, over a log of its own, that has room for the ids of only some hundred publishes of all producers.
   * Present where the factory declares `idsOfProducer`.
   */
  readonly crowdedNode?: () => Promise<ContractNode>;
  /** Lets `ms` milliseconds pass for the broker: moves its clock, or waits. */
  advance(ms: number): Promise<void>;
  /**
   * Resolves when everything that is on its way to a listener has arrived. Tests of what must not arrive call it
   * before they look, so one that resolves too early hides faults.
   */
  quiet(): Promise<void>;
  /** Closes every node, also those that a test has closed, and removes what the test stored. */
  dispose(): Promise<void>;
}

/**
 * Makes the harnesses of a suite, and declares, before any test runs, what the broker promises.
 *
 * @example
 * export const myHarness: BrokerHarnessFactory = {
 *   capabilities: { durability: 'broker', dedupes: true, presence: true },
 *   faults: [],
 *   erases: true, // the log has `erase`
 *   messages: true, // the bus has `send` and `nodes`
 *   bounds: ['historyBytes'],
 *   async create() {
 *     const prefix = randomUUID(); // an empty log
 *     const nodes: ContractNode[] = [];
 *     return {
 *       windows: { dedupeMs: 3_000, ttlMs: 2_000, leaseMs: 2_500, graceMs: 1_500, controlTimeoutMs: 2_000, slackMs: 100 },
 *       faults: {},
 *       runs: 8,
 *       async node() {
 *         const broker = new MyBroker({ prefix, controlTimeoutMs: 2_000 });
 *         const node = { id: `node${nodes.length + 1}`, broker, seen: new RecordingListener() };
 *         nodes.push(node);
 *         await broker.start(node.seen, node.id);
 *         return node;
 *       },
 *       advance: (ms) => setTimeout(ms), // of node:timers/promises
 *       quiet: () => setTimeout(50),
 *       async dispose() {
 *         for (const { broker } of nodes) await broker.close();
 *       },
 *     };
 *   },
 * };
 */
export interface BrokerHarnessFactory {
  /** What the broker declares; must equal its `capabilities`. Tests of what it cannot promise are not registered. */
  readonly capabilities: BrokerCapabilities;
  /** Names of the faults that every harness can cause. */
  readonly faults: readonly (keyof BrokerFaults)[];
  /** Bounds that the broker keeps. Default: none are tested. */
  readonly bounds?: readonly BrokerBound[];
  /** Whether nodes can send one another bytes: the bus has `send` and `nodes`. Default `false`: no test of them is registered. */
  readonly messages?: boolean;
  /** Whether the broker has `transitions`. Default `false`: no test of them is registered. */
  readonly transitions?: boolean;
  /** Whether the log has `erase`. Default `false`: no test of it is registered. */
  readonly erases?: boolean;
  /** Makes the harness of one test. */
  create(): Promise<BrokerHarness>;
}
