import type { Reader } from '@platformatic/kafka';
import type { KafkaDriver } from '../driver.js';
import { expandedBytes, mostExpandedBytes } from './expanded-bytes.js';

/** Most bytes of memory that the compressed records of one answer may take. */
const MAX_BYTES = 256 * 1024 * 1024;
/** What a record counts beside its bytes: the objects that hold it. */
const RECORD_BYTES = 256;

/** Where the parts of a batch stand, in bytes from its beginning. */
const At = { length: 8, attributes: 21, count: 57, records: 61 } as const;
const LENGTH_END = At.length + 4;
const FORM = 0b111;

/** A batch whose records are compressed. */
interface Batch {
  readonly form: number;
  readonly count: number;
  readonly data: Buffer;
}

/**
 * The request for records, whose answer is not read where its compressed batches would take too much memory: the client has no bound, and
 * a thousand times as much may become of what Kafka stores.
 */
export function boundedFetch({ createAPI, fetchV13 }: KafkaDriver): KafkaDriver['fetchV13']['api'] {
  return createAPI(
    fetchV13.api.key,
    fetchV13.api.version,
    fetchV13.createRequest,
    (correlation, key, version, reader) => {
      const { position } = reader;
      assertBounded(batchesIn(reader));
      reader.position = position;
      return fetchV13.parseResponse(correlation, key, version, reader);
    },
  );
}

/** @throws Error where they would take too much memory */
function assertBounded(batches: readonly Batch[]): void {
  const objects = batches.reduce((sum, { count }) => sum + Math.max(0, count) * RECORD_BYTES, 0);
  const most = batches.reduce((sum, { form, data }) => sum + mostExpandedBytes(form, data), objects);
  if (most <= MAX_BYTES) return;
  let left = MAX_BYTES - objects;
  for (const { form, data } of batches) {
    left -= expandedBytes(form, data, Math.max(0, left));
    if (left < 0) throw tooLarge();
  }
}

function tooLarge(): Error {
  const message = `they would take more than ${MAX_BYTES / 1024 / 1024} MiB of memory`;
  return Object.assign(new Error(message), { code: 'ERR_BUFFER_TOO_LARGE' });
}

/** As `parseResponse` of the client reads an answer, which reads the records as well. */
function batchesIn(reader: Reader): readonly Batch[] {
  reader.readInt32();
  reader.readInt16();
  reader.readInt32();
  const topics = reader.readArray((topic) => {
    topic.readUUID();
    return topic.readArray((partition) => {
      partition.skip(4 + 2 + 3 * 8);
      partition.readArray((aborted) => aborted.skip(2 * 8));
      partition.readInt32();
      const bytes = partition.readUnsignedVarInt() - 1;
      if (bytes <= 0) return [];
      const { position } = partition;
      partition.skip(bytes);
      return compressedBatches(partition.buffer.slice(position, position + bytes));
    });
  });
  return topics.flat(2);
}

/** The last batch may be there in part. */
function compressedBatches(bytes: Buffer): readonly Batch[] {
  const found: Batch[] = [];
  for (let rest = bytes; rest.length >= At.records;) {
    const end = LENGTH_END + rest.readInt32BE(At.length);
    if (end < At.records || end > rest.length) break;
    const form = rest.readInt16BE(At.attributes) & FORM;
    if (form !== 0)
      found.push({ form, count: rest.readInt32BE(At.count), data: rest.subarray(At.records, end) });
    rest = rest.subarray(end);
  }
  return found;
}
