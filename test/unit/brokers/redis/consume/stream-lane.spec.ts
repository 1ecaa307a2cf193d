import { expect, it } from '@jest/globals';
import type { StreamClient } from '../../../../../lib/brokers/redis/consume/stream-client.js';
import { StreamLane } from '../../../../../lib/brokers/redis/consume/stream-lane.js';
import { ThrottledLog } from '../../../../../lib/core/async/throttled-log.js';
import { ManualClock } from '../../../../support/engine/manual-clock.js';
import { RecordingLogger } from '../../../../support/engine/recording-logger.js';

const LEASE_MS = 10_000;

it('a lease is held for its time, from before the question that the server answered last (G34)', async () => {
  const clock = new ManualClock();
  let isAnswered = true;
  const run = async (): Promise<unknown> => {
    await clock.advanceAsync(100);
    if (!isAnswered) throw new Error('no answer');
    return ['identity', [], 0, '0-0'];
  };
  const lane = new StreamLane(
    'orders',
    {
      ...{ client: { run } as unknown as StreamClient, clock, consumer: 'c', group: 'g', owner: 'me' },
      ...{ leaseMs: LEASE_MS, maxBatch: 10, maxBatchBytes: 1_000, identity: 'i', onLag: () => undefined },
      journal: new ThrottledLog(new RecordingLogger(), clock),
    },
    new AbortController().signal,
  );
  await lane.next();
  await clock.advanceAsync(LEASE_MS - 100);
  expect(lane.isHeld()).toBe(true);
  await clock.advanceAsync(1);
  expect(lane.isHeld()).toBe(false);
  isAnswered = false;
  await lane.next().catch(() => undefined);
  expect(lane.isHeld()).toBe(false);
});
