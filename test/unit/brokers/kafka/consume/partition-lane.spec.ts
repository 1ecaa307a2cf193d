import { expect, it } from '@jest/globals';
import { getEventListeners } from 'node:events';
import type { KafkaCluster } from '../../../../../lib/brokers/kafka/cluster.js';
import type { KafkaGroup } from '../../../../../lib/brokers/kafka/consume/group.js';
import { PartitionLane } from '../../../../../lib/brokers/kafka/consume/partition-lane.js';
import type { KafkaTopicRecord } from '../../../../../lib/brokers/kafka/consume/record.js';
import type { SourceRecord } from '../../../../../lib/consumers/index.js';
import { ThrottledLog } from '../../../../../lib/core/async/throttled-log.js';
import { ManualClock } from '../../../../support/engine/manual-clock.js';
import { RecordingLogger } from '../../../../support/engine/recording-logger.js';

const TRANSACTIONAL = 0b1_0000;
const CONTROL = 0b10_0000;
const COMMIT_MARK = Buffer.from([0, 0, 0, 1]);

interface Answer {
  readonly errorCode?: number;
  readonly highWatermark?: number;
  readonly records?: readonly unknown[];
  /** Where there is no answer until the connection ends. */
  readonly isHeld?: boolean;
}

/** A lane whose leader gives one answer, or error, for each question. */
function laneOf(...answers: readonly (Answer | Error)[]) {
  const clock = new ManualClock();
  const logger = new RecordingLogger();
  const left = [...answers];
  let fail = (): void => undefined;
  class Connection {
    on(): void {}
    async connect(): Promise<void> {}
    isConnected(): boolean {
      return true;
    }
    async close(): Promise<void> {
      fail();
    }
  }
  const fetch = async (): Promise<unknown> => {
    const answer = left.shift() ?? {};
    if (answer instanceof Error) throw answer;
    const { errorCode = 0, highWatermark = 0, isHeld, records } = answer;
    if (isHeld === true)
      await new Promise<void>((_, reject) => (fail = () => reject(new Error('the connection was closed'))));
    const partition = { errorCode, highWatermark: BigInt(highWatermark), records, abortedTransactions: [] };
    return { errorCode: 0, responses: [{ partitions: [partition] }] };
  };
  const cluster = {
    clock,
    settings: { requestTimeoutMs: 1_000 },
    driver: { Connection, createAPI: () => ({ async: fetch }), fetchV13: { api: {} } },
    leader: () => ({ address: { host: 'kafka', port: 9092 }, epoch: 1, topicId: 't' }),
    refresh: async () => undefined,
  } as unknown as KafkaCluster;
  const session = new AbortController();
  const lane = new PartitionLane(
    2,
    0,
    {
      ...{ cluster, entropy: { random: () => 0.5 } },
      ...{ topic: 'orders', topicId: 't', consumer: 'kafka orders', ids: 'i' },
      ...{
        maxBatch: 10,
        maxBatchBytes: 1_000,
        membership: { memberId: 'm', generation: 1, partitions: [2] },
      },
      group: { commit: async () => undefined } as unknown as KafkaGroup,
      journal: new ThrottledLog(logger, clock),
    },
    session.signal,
  );
  const next = async (): Promise<readonly SourceRecord<KafkaTopicRecord>[]> => {
    const records = lane.next();
    await clock.advanceAsync(1_000);
    return records;
  };
  return { clock, lane, logger, next, session };
}

function batch(first: number, count: number, attributes: number, key: Buffer | null = null): unknown {
  return {
    ...{ firstOffset: BigInt(first), lastOffsetDelta: count - 1, attributes, producerId: 7n },
    ...{ firstTimestamp: 0n, maxTimestamp: 0n },
    records: Array.from({ length: count }, (_, offsetDelta) => ({
      ...{ offsetDelta, key, value: null, timestampDelta: 0n, headers: [] },
    })),
  };
}

it('the lag of a partition whose last record is the end of a transaction is 0 when the records before it are committed (G34)', async () => {
  const records = [batch(0, 3, TRANSACTIONAL), batch(3, 1, TRANSACTIONAL | CONTROL, COMMIT_MARK)];
  const { lane, next } = laneOf({ highWatermark: 4, records }, { highWatermark: 4 }, { highWatermark: 6 });
  const found = await next();
  expect(found.map(({ raw }) => raw.offset)).toEqual([0, 1, 2]);
  expect(lane.lag).toBe(4);
  for (const record of found) await lane.commit(record);
  expect(await next()).toEqual([]);
  expect(lane.lag).toBe(0);
  // Of a transaction that is not decided: it waits.
  expect(await next()).toEqual([]);
  expect(lane.lag).toBe(2);
});

it('a partition that cannot be read says why, in the log once, until it can (G34)', async () => {
  const { lane, logger, next } = laneOf(
    { errorCode: 29 },
    new Error('connect ECONNREFUSED'),
    { highWatermark: 0 },
    { errorCode: 6 },
  );
  expect(lane.trouble).toBeUndefined();
  expect(await next()).toEqual([]);
  expect(lane.trouble).toBe('partition 2 of orders cannot be read: its leader answers with error 29');
  await next();
  expect(lane.trouble).toBe('partition 2 of orders cannot be read: connect ECONNREFUSED');
  await next();
  expect(lane.trouble).toBeUndefined();
  await next();
  expect(lane.trouble).toContain('error 6');
  expect(logger.records.map(({ level, message }) => `${level} ${message}`)).toEqual([
    'warn Consumer kafka orders: partition 2 of orders cannot be read: its leader answers with error 29. It is tried again.',
  ]);
});

it('a partition that ends while it waits for records reports nothing (G34)', async () => {
  const { lane, logger, session } = laneOf({ isHeld: true });
  const asked = lane.next();
  await new Promise(setImmediate);
  session.abort();
  expect(await asked).toEqual([]);
  expect([lane.trouble, logger.records]).toEqual([undefined, []]);
});

it('a partition that cannot be read leaves nothing behind with each attempt (G34)', async () => {
  const answers = Array.from({ length: 10 }, () => ({ errorCode: 6 }));
  const { clock, lane } = laneOf(...answers);
  const listeners = (): number => getEventListeners(lane.signal, 'abort').length;
  const before = listeners();
  for (const _ of answers) {
    const records = lane.next();
    await clock.advanceAsync(200);
    await records;
    expect([listeners(), clock.pending]).toEqual([before, 0]);
  }
});

it('a partition whose records cannot be read says so with their place, and asks for them less and less often until it can (G34)', async () => {
  const unreadable = Object.assign(new Error('incorrect header check'), { code: 'Z_DATA_ERROR' });
  const failures = Array.from({ length: 8 }, () => unreadable);
  const read = { highWatermark: 3, records: [batch(0, 3, 0)] };
  const { clock, lane, logger } = laneOf(...failures, read, unreadable, {});
  const pauseOf = async (): Promise<number> => {
    const asked = lane.next();
    await new Promise(setImmediate);
    const pause = Math.round(clock.untilNext ?? -1);
    await clock.advanceAsync(pause);
    expect(await asked).toEqual([]);
    return pause;
  };
  const pauses: number[] = [];
  for (const _ of failures) pauses.push(await pauseOf());
  expect(pauses).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
  expect(lane.trouble).toBe(
    'partition 2 of orders cannot be read: records from 0 on are damaged, or compressed in a form that is not read ' +
      '(incorrect header check): docs/consumers.md says what to do',
  );
  expect(await lane.next()).toHaveLength(3);
  expect(lane.trouble).toBeUndefined();
  expect(await pauseOf()).toBe(100);
  expect(lane.trouble).toContain('records from 3 on are damaged');
  // In 16 s; one line in ten.
  expect(logger.records).toHaveLength(2);
});

it('a partition that ends while its records cannot be read waits no longer (G34)', async () => {
  const { clock, lane, session } = laneOf(Object.assign(new Error('x'), { code: 'OUT_OF_BOUNDS' }));
  const asked = lane.next();
  await new Promise(setImmediate);
  expect(clock.pending).toBe(1);
  session.abort();
  expect([await asked, clock.pending]).toEqual([[], 0]);
});
