import type { OrderedLog } from '../../../lib/brokers/replicated/ordered-log.js';

/** A log of a test's own, empty at the beginning, and what a test does to it behind its clients' backs. */
export interface LogDeployment {
  /** Another client of the same log, as another node has it. The deployment closes it. */
  open(): Promise<OrderedLog>;
  /** Ends the servers and starts them again; what they acknowledged is there. */
  restart(): Promise<void>;
  /** Stands still: connections stay, nothing is answered. */
  pause(): Promise<void>;
  resume(): void;
  /**
   * Keeps what the log has now.
   *
   * @returns takes the log back to it: everything later is lost. `meanwhile` runs before the clients that are open reach the log again,
   * with another client.
   */
  mark(): Promise<(meanwhile?: (log: OrderedLog) => Promise<void>) => Promise<void>>;
  /** Drops the records of a partition below `first`. */
  trim(partition: number, first: number): Promise<void>;
  /** Deletes everything and makes it again. */
  recreate(): Promise<void>;
  dispose(): Promise<void>;
}

/** What differs between logs. */
export interface LogTraits {
  /** Whether a reader also sees a cut behind which so much was written that the log is as long as before. */
  readonly seesRegrownCuts: boolean;
  /** Lets the time of the clients pass while a condition is waited for; default: real time passes by itself. */
  advance?(): Promise<void>;
}
