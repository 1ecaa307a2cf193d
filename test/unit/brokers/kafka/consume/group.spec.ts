import { expect, it } from '@jest/globals';
import type { KafkaCluster } from '../../../../../lib/brokers/kafka/cluster.js';
import { encodeAssignment } from '../../../../../lib/brokers/kafka/consume/assignment.js';
import { KafkaGroup } from '../../../../../lib/brokers/kafka/consume/group.js';
import { ManualClock } from '../../../../support/engine/manual-clock.js';

const SESSION_MS = 10_000;

it('a place in the group is held for its time, from when it was taken or before the last heartbeat that was answered (G34)', async () => {
  const clock = new ManualClock();
  let beat = 0;
  class Connection {
    on(): void {}
    async connect(): Promise<void> {}
  }
  const answers = (answer: () => object) => ({ api: { async: async () => answer() } });
  const cluster = {
    clock,
    settings: { requestTimeoutMs: 1_000 },
    driver: {
      Connection,
      findCoordinatorV4: { api: 'find' },
      joinGroupV7: answers(() => ({
        errorCode: 0,
        memberId: 'm',
        leader: 'other',
        generationId: 3,
        members: [],
      })),
      syncGroupV5: answers(() => ({ errorCode: 0, assignment: encodeAssignment('orders', [1]) })),
      heartbeatV4: {
        api: {
          async: async () => {
            await clock.advanceAsync(100);
            return { errorCode: beat };
          },
        },
      },
    },
    controller: async () => ({
      call: async () => ({ coordinators: [{ errorCode: 0, host: 'k', port: 1 }] }),
    }),
  } as unknown as KafkaCluster;
  const group = new KafkaGroup(cluster, 'realtime', 'orders', '', SESSION_MS);
  expect(group.isHeld).toBe(false);
  const place = await group.join();
  await clock.advanceAsync(SESSION_MS);
  expect(group.isHeld).toBe(true);
  await clock.advanceAsync(1);
  expect(group.isHeld).toBe(false);
  expect(await group.heartbeat(place)).toBe(true);
  await clock.advanceAsync(SESSION_MS - 100);
  expect(group.isHeld).toBe(true);
  await clock.advanceAsync(1);
  expect(group.isHeld).toBe(false);
  // The partitions are divided once more.
  beat = 27;
  expect(await group.heartbeat(place)).toBe(false);
  expect(group.isHeld).toBe(false);
});
