import type { Outcome } from './commands.js';

/** A record as it was read from the log. */
export interface LogRecord {
  /** Its place; ascends, and need not be dense. */
  readonly offset: number;
  /** When the log stored it, in milliseconds since the Unix epoch. */
  readonly timeMs: number;
  /** Ascends each time the log may have lost its end before this record; 0 where the log does not say it. */
  readonly term: number;
  /** As it was stored: the digest of the input is of these. */
  readonly bytes: Uint8Array;
  /** What the bytes say; `undefined` where they are none of ours. */
  readonly content: RecordContent | undefined;
}

/** What a node packs into one record. */
export interface RecordContent {
  /** Different at each start of a node. */
  readonly writer: string;
  /** Number of the record among those of its writer in this partition; ascends. Sent again, it is the same. */
  readonly n: number;
  /** {@link Genesis.incarnation} of the log that the writer means. */
  readonly incarnation: string;
  /** {@link Command}s, as far as is known: each is checked when it is applied. */
  readonly commands: readonly unknown[];
}

/** What became of a record. */
export type RecordOutcome =
  | {
      readonly applied: true;
      /** One for each command, in their order. */
      readonly outcomes: readonly Outcome[];
    }
  | {
      readonly applied: false;
      /**
       * `foreign`: no record of ours, or one before the genesis. `repeated`: its `n` is not above its writer's last.
       * `other_log`: meant for a log that had this name before. `stopped`: this node cannot run what the log asks for
       * ({@link Partition.stopped}).
       */
      readonly why: 'foreign' | 'repeated' | 'other_log' | 'stopped';
    };
