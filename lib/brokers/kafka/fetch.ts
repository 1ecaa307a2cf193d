import type { fetchV13, RecordsBatch } from '@platformatic/kafka';
import type { LogRecord } from '../replicated/ordered-log.js';
import type { KafkaConnection } from './connection.js';
import type { KafkaDriver } from './driver.js';

/** Also what is not yet out of a transaction: nothing here writes any, and nothing is to wait for one. */
const READ_UNCOMMITTED = 0;
const NO_SESSION_EPOCH = -1;
/** Asks for no comparison of epochs: the client does not read the answer to it. */
const NO_EPOCH = -1;
const IS_CONTROL = 0b10_0000;
/** The time of the batch is the broker's, and stands in its largest one. */
const IS_APPEND_TIME = 0b1000;
/** Of the records of one answer; a larger record comes alone. */
const FETCH_BYTES = 1_048_576;

/** What to read. */
export interface FetchQuery {
  readonly topicId: string;
  readonly partition: number;
  /** Epoch of the leader that is asked; another one refuses. */
  readonly epoch: number;
  readonly offset: number;
  /** How long the broker waits for records, in milliseconds. */
  readonly waitMs: number;
}

/** What there was. */
export interface FetchResult {
  readonly code: number;
  readonly records: readonly LogRecord[];
  /** Offset behind the last batch, also one without records for readers. */
  readonly next: number;
  readonly first: number;
  readonly end: number;
}

/** Reads by the id of a topic, which another topic of its name does not have. */
export async function fetchRecords(
  driver: KafkaDriver,
  connection: KafkaConnection,
  { epoch, offset, partition, topicId, waitMs }: FetchQuery,
): Promise<FetchResult> {
  const wanted = {
    partition,
    currentLeaderEpoch: epoch,
    fetchOffset: BigInt(offset),
    lastFetchedEpoch: NO_EPOCH,
    partitionMaxBytes: FETCH_BYTES,
  };
  const answer: fetchV13.FetchResponse = await connection.call(
    driver.fetchV13.api,
    waitMs,
    waitMs > 0 ? 1 : 0,
    FETCH_BYTES,
    READ_UNCOMMITTED,
    0,
    NO_SESSION_EPOCH,
    [{ topicId, partitions: [wanted] }],
    [],
    '',
  );
  const found = answer.responses[0]?.partitions[0];
  const batches = found?.records ?? [];
  const last = batches.at(-1);
  return {
    code: answer.errorCode !== 0 ? answer.errorCode : (found?.errorCode ?? 0),
    records: batches.flatMap((batch) => recordsOf(batch, offset)),
    next: last === undefined ? offset : Math.max(offset, Number(last.firstOffset) + last.lastOffsetDelta + 1),
    first: Number(found?.logStartOffset ?? -1),
    end: Number(found?.highWatermark ?? -1),
  };
}

/** The records of a batch at or behind an offset: an answer begins with the batch that the offset is in. */
function recordsOf(batch: RecordsBatch, from: number): LogRecord[] {
  if ((batch.attributes & IS_CONTROL) !== 0) return [];
  const first = Number(batch.firstOffset);
  const timeMs = Number(
    (batch.attributes & IS_APPEND_TIME) !== 0 ? batch.maxTimestamp : batch.firstTimestamp,
  );
  // Epochs begin at 0, terms at 1.
  const term = batch.partitionLeaderEpoch + 1;
  return batch.records.flatMap(({ offsetDelta, value }) => {
    const offset = first + offsetDelta;
    return offset < from ? [] : [{ offset, timeMs, term, bytes: value ?? new Uint8Array(0) }];
  });
}
