import { expect, it } from '@jest/globals';
import {
  JetStreamLane,
  type JetStreamRecord,
} from '../../../../../lib/brokers/nats/consume/jetstream-lane.js';
import { StreamPosition } from '../../../../../lib/brokers/nats/consume/position.js';
import type { NatsLink } from '../../../../../lib/brokers/nats/link.js';
import type { SourceRecord } from '../../../../../lib/consumers/index.js';
import { ManualClock } from '../../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../../support/engine/seeded-entropy.js';

const LEASE_MS = 10_000;

it('a renewal of the lease during a commit stores what the commit stores, and nothing before it (G34)', async () => {
  const clock = new ManualClock();
  const stored: number[] = [];
  let answer = (): void => undefined;
  const held = new Promise<void>((resolve) => (answer = resolve));
  const link = {
    ask: (operation: () => Promise<unknown>) => operation(),
    js: {
      publish: async (_subject: string, text: string) => {
        stored.push((JSON.parse(text) as { seq: number }).seq);
        await held;
        return { seq: stored.length };
      },
    },
  } as unknown as NatsLink;
  const where = { stream: 'positions', subject: 'positions.S.d' };
  const session = new AbortController();
  const lane = new JetStreamLane(
    3,
    {
      ...{ link, clock, stream: 'S', created: 'c', subjects: undefined, ids: 'i', leaseMs: LEASE_MS },
      ...{ entropy: new SeededEntropy(1), maxBatch: 10, maxBatchBytes: 1_000 },
      position: new StreamPosition(link, where, 'me', clock, LEASE_MS),
    },
    session.signal,
  );
  const renewing = lane.keepLease();
  const committed = lane.commit({ raw: { seq: 7 } } as SourceRecord<JetStreamRecord>);
  await clock.advanceAsync(LEASE_MS / 2);
  expect(stored).toEqual([7]);
  answer();
  await committed;
  session.abort();
  await renewing;
  expect(stored).toEqual([7, 7]);
});
