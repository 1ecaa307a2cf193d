import { expect, it } from '@jest/globals';
import type { RecordsBatch } from '@platformatic/kafka';
import {
  decodeAssignment,
  divide,
  encodeAssignment,
  encodeSubscription,
} from '../../../../lib/brokers/kafka/consume/assignment.js';
import { committedRecords } from '../../../../lib/brokers/kafka/consume/committed-records.js';

const TRANSACTIONAL = 0b1_0000;
const CONTROL = 0b10_0000;
const APPEND_TIME = 0b1000;

/** A batch of records at offsets; `mark` is the type of a control record. */
function batch(
  first: number,
  deltas: readonly number[],
  { attributes = 0, producer = -1, mark }: { attributes?: number; producer?: number; mark?: number } = {},
): RecordsBatch {
  const key = mark === undefined ? null : Buffer.from([0, 0, 0, mark]);
  return {
    firstOffset: BigInt(first),
    lastOffsetDelta: deltas.at(-1) ?? 0,
    attributes,
    producerId: BigInt(producer),
    firstTimestamp: 1_000n,
    maxTimestamp: 2_000n,
    records: deltas.map((offsetDelta) => ({ offsetDelta, key, timestampDelta: BigInt(offsetDelta) })),
  } as unknown as RecordsBatch;
}

const offsets = (...args: Parameters<typeof committedRecords>): readonly number[] =>
  committedRecords(...args).map(({ offset }) => offset);

it('records at or behind the position are read, with their own times or those of the broker', () => {
  const found = committedRecords([batch(10, [0, 1, 3]), batch(20, [0], { attributes: APPEND_TIME })], [], 11);
  expect(found.map(({ offset, timestampMs }) => [offset, timestampMs])).toEqual([
    [11, 1_001],
    [13, 1_003],
    [20, 2_000],
  ]);
});

it('records of a transaction that was taken back are left out, and no others', () => {
  const of = (producer: number) => ({ attributes: TRANSACTIONAL, producer });
  const batches = [
    batch(0, [0, 1], of(7)),
    batch(2, [0], of(8)),
    // Not of a transaction, whoever wrote it.
    batch(2, [1], { producer: 7 }),
    batch(3, [0], { attributes: TRANSACTIONAL | CONTROL, producer: 7, mark: 0 }),
    batch(4, [0], of(7)),
    batch(5, [0], { attributes: TRANSACTIONAL | CONTROL, producer: 7, mark: 1 }),
    batch(6, [0], { producer: 7 }),
    batch(7, [0], of(7)),
    batch(8, [0], { attributes: TRANSACTIONAL | CONTROL, producer: 7, mark: 0 }),
    batch(9, [0], of(7)),
  ];
  const aborted = [
    { producerId: 7n, firstOffset: 7n },
    { producerId: 7n, firstOffset: 0n },
  ];
  expect(offsets(batches, aborted, 0)).toEqual([2, 3, 4, 6, 9]);
  expect(offsets(batches, [], 0)).toEqual([0, 1, 2, 3, 4, 6, 7, 9]);
});

it('assignments are those of Kafka’s own format, and of other topics nothing is taken', () => {
  expect(encodeSubscription('ab').toString('hex')).toBe('0000' + '00000001' + '00026162' + 'ffffffff');
  const assigned = encodeAssignment('orders', [0, 3, 9]);
  expect(decodeAssignment('orders', assigned)).toEqual([0, 3, 9]);
  expect(decodeAssignment('order', assigned)).toEqual([]);
  expect(decodeAssignment('orders', encodeAssignment('orders', []))).toEqual([]);
  expect(decodeAssignment('orders', Buffer.alloc(0))).toEqual([]);
});

it('partitions are divided evenly, and the same by each member', () => {
  const divided = divide(['c', 'a', 'b'], 8);
  expect([...divided]).toEqual([
    ['a', [0, 3, 6]],
    ['b', [1, 4, 7]],
    ['c', [2, 5]],
  ]);
  expect([...divide(['b', 'c', 'a'], 8)]).toEqual([...divided]);
  expect(divide(['a', 'b'], 1).get('b')).toEqual([]);
});
