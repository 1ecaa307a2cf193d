import { Digest } from '../machine/digest.js';
import type { Mark } from '../machine/commands.js';
import type { Partition } from '../machine/partition.js';
import type { LogRecord, OrderedLog } from './ordered-log.js';

/** What is compared: a state, and where its records can be read again. */
export interface Tail {
  readonly partition: number;
  readonly incarnation: string;
  /** Places up to the last record that was read, newest first. */
  readonly marks: readonly Mark[];
  /** The last record that was read, and the digest of all up to it. */
  readonly last: Mark;
}

/** From where records are read again. `newest`: what was read last may be lost. `oldest`: all of it is in doubt. */
export type TailFrom = 'newest' | 'oldest';

/** What a state has read. */
export function tailOf(partition: number, incarnation: string, state: Partition): Tail {
  const { input, offset } = state.digests;
  return { partition, incarnation, marks: state.marks(), last: { offset, digest: input } };
}

/**
 * Whether the log still has what a node has read. It reads the records behind an earlier mark again and compares the digests: where a log
 * does not say that it lost its end (JetStream), and for a checkpoint that may be of such an end.
 *
 * @returns `unknown` where the log has dropped the records that are needed
 * @throws LogUnavailableError
 */
export async function compareTail(
  log: OrderedLog,
  tail: Tail,
  where: TailFrom = 'newest',
): Promise<'same' | 'other' | 'unknown'> {
  const { partition, incarnation, last } = tail;
  if (last.offset < 0) return 'same';
  const bounds = await log.bounds(partition);
  if (bounds.incarnation !== incarnation || bounds.end <= last.offset) return 'other';
  // A mark behind which the log still has everything.
  const isThere = ({ offset }: Mark): boolean => offset < last.offset && offset + 1 >= bounds.first;
  const isWhole = bounds.first <= log.firstOffset;
  const usable = tail.marks.filter(isThere);
  const all = where === 'oldest' && isWhole;
  const from = all ? undefined : usable.at(where === 'newest' ? 0 : -1);
  if (from === undefined && !isWhole) return 'unknown';
  const digest = from === undefined ? new Digest() : Digest.of(from.digest);
  const read = await readRange(log, tail, from === undefined ? 0 : from.offset + 1, (record) => {
    digest.number(record.offset);
    digest.number(record.timeMs);
    digest.bytes(record.bytes);
  });
  return read && digest.value === last.digest ? 'same' : 'other';
}

/** @returns Whether the last record of the tail was there. */
function readRange(
  log: OrderedLog,
  { partition, incarnation, last }: Tail,
  offset: number,
  onRecord: (record: LogRecord) => void,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const finish = (found: boolean): void => {
      reading.close();
      resolve(found);
    };
    const reading = log.consume(
      partition,
      { incarnation, offset, term: 0 },
      {
        onRecords: (records) => {
          for (const record of records) {
            if (record.offset > last.offset) return finish(false);
            onRecord(record);
            if (record.offset === last.offset) return finish(true);
          }
        },
        onEnd: (end) => {
          if (end.kind === 'failed') reject(end.error);
          else resolve(false);
        },
      },
    );
  });
}
