import type { fetchV13, KafkaRecord, RecordsBatch } from '@platformatic/kafka';

const IS_CONTROL = 0b10_0000;
const IS_TRANSACTIONAL = 0b1_0000;
const IS_APPEND_TIME = 0b1000;
/** Type of a control record: the transaction was taken back. */
const ABORT = 0;

/** A record, and where it stands. */
export interface FoundRecord {
  readonly offset: number;
  readonly timestampMs: number;
  readonly record: KafkaRecord;
}

/**
 * The records of an answer at or behind an offset, without those of transactions that were taken back: an answer has these too, and
 * says from where on which producer's are meant.
 */
export function committedRecords(
  batches: readonly RecordsBatch[],
  aborted: readonly fetchV13.FetchResponsePartitionAbortedTransaction[],
  from: number,
): FoundRecord[] {
  const waiting = [...aborted].sort((a, b) => Number(a.firstOffset - b.firstOffset));
  const takenBack = new Set<bigint>();
  return batches.flatMap((batch) => {
    const first = Number(batch.firstOffset);
    const last = first + batch.lastOffsetDelta;
    while (waiting[0] !== undefined && Number(waiting[0].firstOffset) <= last) {
      takenBack.add(waiting[0].producerId);
      waiting.shift();
    }
    if ((batch.attributes & IS_CONTROL) !== 0) {
      if (batch.records[0]?.key?.readInt16BE(2) === ABORT) takenBack.delete(batch.producerId);
      return [];
    }
    if ((batch.attributes & IS_TRANSACTIONAL) !== 0 && takenBack.has(batch.producerId)) return [];
    return batch.records.flatMap((record) => {
      const offset = first + record.offsetDelta;
      if (offset < from) return [];
      const timestamp =
        (batch.attributes & IS_APPEND_TIME) !== 0
          ? batch.maxTimestamp
          : batch.firstTimestamp + record.timestampDelta;
      return [{ offset, timestampMs: Number(timestamp), record }];
    });
  });
}
