import type { MaybePromise } from '../../core/ports/maybe-promise.js';

/**
 * The port between the replicated broker and what keeps its records: partitions, each an ordered, durable sequence of bytes which every
 * node reads whole. Kafka and NATS JetStream implement it; the contract suite of `test/contract/ordered-log` says what it promises.
 *
 * - **Order.** All readers of a partition see the same records in the same order of ascending offsets. Offsets may have gaps.
 * - **Append.** At most one is in flight per partition. One that fails as `unknown` may be stored now, later, or never, and so may be
 *   stored behind records that were appended after it: the reader tells the copies apart by what is in the records, never the log.
 * - **Loss is reported.** A log that was cut, deleted and made again, or has dropped what a reader needs, ends the reading with a
 *   {@link ReadingEnd} that says so. No reader is given records across such a break.
 * - **Nothing waits behind a read.** `append`, `bounds`, checkpoints and signals answer while readers wait for records.
 *
 * A log is handed out when it is open: its topics or streams exist and have been checked. While its servers cannot be reached it
 * connects again by itself, without limit; calls then fail as `refused` or with `LogUnavailableError`, readings wait.
 *
 * @example
 * const { first, incarnation } = await log.bounds(0);
 * const reading = log.consume(0, { incarnation, offset: first, term: 0 }, {
 *   onRecords: (records) => records.forEach(apply),
 *   onEnd: (end) => recover(end),
 * });
 * await log.append(0, bytes, log.session);
 * reading.close();
 */
export interface OrderedLog {
  /** For logs and metrics: `kafka`, `nats`. */
  readonly name: string;
  /** How many partitions there are, numbered from 0. Does not change while the log is open: partitions that are added later are ignored. */
  readonly partitions: number;
  /** Offset of the first record of a log that has dropped nothing: 0 in Kafka, 1 in JetStream. */
  readonly firstOffset: number;
  /** Largest record that `append` takes, in bytes. */
  readonly maxRecordBytes: number;
  /** On how many servers a record is stored when its append resolves. 1: the loss of one server may lose acknowledged records. */
  readonly acknowledgedCopies: number;
  /**
   * Who finds out that the log lost its end while nobody read it. `log`: `term` of the records ascends with each change of the leader,
   * and every cut that a reader could see ends its reading. `readers`: `term` is always 0, and a cut is reported only where the log ends
   * before the reader; the nodes compare what they have read, by their first record after each connect.
   */
  readonly detectsCuts: 'log' | 'readers';
  /**
   * Number of the connection to the log, from 1, one more with each connect; never twice in the life of this log. What is appended names
   * it, so that nothing that was meant for an earlier connection is sent by a later one.
   */
  readonly session: number;
  /** Whether the servers can be reached now. */
  readonly connected: boolean;
  /** What weakens the storage, for the doctor and the log at boot; empty when nothing is known. */
  readonly weaknesses: readonly LogWeakness[];

  /** Calls `listener` after each change of `connected` or `session`, in this turn. @returns removes the listener; idempotent */
  onState(listener: (state: LogState) => void): () => void;

  /**
   * Adds a record to the end of a partition. Resolves when the log has acknowledged it on `acknowledgedCopies` servers.
   *
   * @param bytes At most `maxRecordBytes`, not empty. Not changed and not kept after the promise is settled.
   * @param session The connection that this record is for. One that is over is `refused`, before anything is sent.
   * @throws {AppendError} and nothing else; always asynchronously. A second append while one is in flight is `refused`.
   */
  append(partition: number, bytes: Uint8Array, session: number): Promise<AppendResult>;

  /**
   * Reads a partition from a position on, in batches, until `close` or a {@link ReadingEnd}. Waits for new records without polling the
   * caller. Any number of readings of a partition may be open, each with its own place.
   *
   * @param from Where to begin: the offset of the first record wanted, and the term of the one before it, by which a cut is found.
   * @throws RangeError for a partition that does not exist
   */
  consume(partition: number, from: ReadPosition, events: ReadingEvents): Reading;

  /**
   * Asks for the first and the end offset, from the log itself: what was acknowledged before the call is below `end`.
   * @throws {LogUnavailableError} when the log does not answer in time
   */
  bounds(partition: number): Promise<LogBounds>;

  /**
   * Stores a checkpoint beside the partition: all of it, or, for every loader, nothing. Earlier ones stay, as long as the retention says.
   * @throws {LogUnavailableError} when it was not stored; a part of it may be, which no loader sees
   */
  saveCheckpoint(partition: number, checkpoint: Checkpoint): Promise<void>;

  /**
   * Loads the newest complete checkpoint that `accept` takes; by default the newest. `accept` is called with the heads alone, from the
   * newest back, and may be asynchronous. One that is damaged is passed over.
   * @returns `undefined` when there is none
   * @throws {LogUnavailableError} when the log does not answer in time
   */
  loadCheckpoint(
    partition: number,
    accept?: (head: CheckpointHead) => MaybePromise<boolean>,
  ): Promise<Checkpoint | undefined>;

  /**
   * Sends bytes to every node that listens at the moment, this one included: at most once, in no order that may be relied on, kept nowhere
   * for long. Resolves when they were handed to the log.
   *
   * @param bytes At most `maxRecordBytes`.
   * @throws {LogUnavailableError} when the servers cannot be reached
   */
  signal(bytes: Uint8Array): Promise<void>;

  /**
   * Listens to signals. Resolves when what is sent from now on will be heard; after each new connect it listens again by itself.
   * @returns stops listening; idempotent
   */
  onSignal(listener: (bytes: Uint8Array) => void): Promise<() => void>;

  /** Ends all readings without an `onEnd`, fails what is in flight (`unknown`) and releases every connection. Idempotent; never rejects. */
  close(): Promise<void>;
}

/** A change of the connection. */
export interface LogState {
  readonly connected: boolean;
  readonly session: number;
  /** Why it is away, for the log of the application; names no credential. */
  readonly reason?: string;
}

/** A setting of the storage that weakens what the log promises. */
export interface LogWeakness {
  /** What is weak, and what it costs: a sentence. */
  readonly problem: string;
  /** What to set instead: a sentence. */
  readonly remedy: string;
}

/** Where a record was stored. */
export interface AppendResult {
  readonly offset: number;
}

/** Where a reading begins. */
export interface ReadPosition {
  /** The incarnation that the offset belongs to, from `bounds`. In another one the reading ends as `replaced`. */
  readonly incarnation: string;
  /** Offset of the first record wanted. */
  readonly offset: number;
  /** Term of the last record below `offset` that was read, or 0 when none was: nothing is compared then. */
  readonly term: number;
}

/** A record as it stands in the log: the same for every reader. */
export interface LogRecord {
  /** Ascends within an incarnation. */
  readonly offset: number;
  /** When the log's server took it, by that server's wall clock, in milliseconds since the Unix epoch. May go back. */
  readonly timeMs: number;
  /** Ascends, never falls; 0 where `detectsCuts` is `readers`. */
  readonly term: number;
  /** Owned by the reader. */
  readonly bytes: Uint8Array;
}

/** What a reading reports. No two calls overlap. */
export interface ReadingEvents {
  /**
   * Records in order, at least one. While a promise that it returns is pending nothing more is fetched, which is how a slow reader bounds
   * what waits in memory. What it throws or rejects with ends the reading as `failed`.
   */
  onRecords(records: readonly LogRecord[]): MaybePromise<void>;
  /** The reading is over, by the log's doing: called once, and nothing after it. Not called after `close`. */
  onEnd(end: ReadingEnd): void;
}

/** Why a reading ended. To continue the caller begins another one, at a position that is true now. */
export type ReadingEnd =
  /** The log lost its end: what was read at or behind `offset` is not in it any more, and other records may stand there. */
  | { readonly kind: 'cut'; readonly offset: number }
  /** The log has dropped records at or behind the reader's place: the first one that is left is `first`. */
  | { readonly kind: 'trimmed'; readonly first: number }
  /** The partition was deleted and made again, or is another one: nothing that was read is in it. `undefined`: there is none now. */
  | { readonly kind: 'replaced'; readonly incarnation: string | undefined }
  /** The reader threw, or the log refuses to be read (permissions): `error` has the remedy. */
  | { readonly kind: 'failed'; readonly error: Error };

/** A reading that is open. */
export interface Reading {
  /**
   * Ends it: no call of its events begins after this one. A promise that `onRecords` returned before is left alone. Idempotent; its
   * connection is released behind it, at the latest with the `close` of the log.
   */
  close(): void;
}

/** What a partition holds. */
export interface LogBounds {
  /** Offset of the oldest record that is kept; `end` when there is none. */
  readonly first: number;
  /** Offset that the next record will have, or a lower one where the log leaves gaps. */
  readonly end: number;
  /** Names this life of the partition: another one after it was deleted and made again. At most 64 characters. */
  readonly incarnation: string;
}

/** What is known of a checkpoint before it is loaded. */
export interface CheckpointHead {
  /** The incarnation of the partition that it was made from. */
  readonly incarnation: string;
  /** Offset of the first record that is not in it. */
  readonly offset: number;
  /** What else the owner must know to accept it, such as a version and a digest: opaque here, at most 4 KiB. */
  readonly about: Uint8Array;
}

/** State of a partition that stands for all records below `offset`. */
export interface Checkpoint extends CheckpointHead {
  /** Any number of bytes, also none. */
  readonly bytes: Uint8Array;
}

/** Largest `about` of a checkpoint, in bytes: it stands in one record, with the rest of what commits it. */
export const MAX_ABOUT_BYTES = 4_096;

/** What became of an append that failed. */
export type AppendFailure =
  /** Not in the log, and will not be: nothing was sent, or the log said no. */
  | 'refused'
  /** Sent, and not answered: it may be in the log now, later or never. */
  | 'unknown';

/** An append that failed. The message is for the log of the application: it names no credential and no payload. */
export class AppendError extends Error {
  override readonly name = 'AppendError';

  /**
   * @param outcome Whether the record may be in the log.
   * @param retryable Whether the same bytes may be taken later, without anybody changing a setting.
   */
  constructor(
    readonly outcome: AppendFailure,
    message: string,
    readonly retryable = true,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The log could not be asked, or did not answer in time. Always temporary. */
export class LogUnavailableError extends Error {
  override readonly name = 'LogUnavailableError';
}

/** A setting, a permission or a version with which the log cannot be used; the message says what to change. Thrown where the log is opened. */
export class LogSetupError extends Error {
  override readonly name = 'LogSetupError';
}
