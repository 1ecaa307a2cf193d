import { expect, it } from '@jest/globals';
import { JetStreamLane } from '../../../../../lib/brokers/nats/consume/jetstream-lane.js';
import { StreamPosition } from '../../../../../lib/brokers/nats/consume/position.js';
import type { JetStreamRecord } from '../../../../../lib/brokers/nats/consume/record.js';
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

it('a position is held for the time of its lease, from before the write that the server stored last (G34)', async () => {
  const clock = new ManualClock();
  let fails = false;
  const link = {
    ask: (operation: () => Promise<unknown>) => operation(),
    js: {
      publish: async () => {
        await clock.advanceAsync(100);
        if (fails) throw new Error('no answer');
        return { seq: 1 };
      },
    },
  } as unknown as NatsLink;
  const where = { stream: 'positions', subject: 'positions.S.d' };
  const position = new StreamPosition(link, where, 'me', clock, LEASE_MS);
  expect(position.isHeld()).toBe(false);
  await position.write(1, 'c');
  await clock.advanceAsync(LEASE_MS - 100);
  expect(position.isHeld()).toBe(true);
  await clock.advanceAsync(1);
  expect(position.isHeld()).toBe(false);
  fails = true;
  await position.write(2, 'c').catch(() => undefined);
  expect(position.isHeld()).toBe(false);
});
