import { beforeEach, describe, expect, it } from '@jest/globals';
import { RetryQueue } from '../../../../lib/core/async/retry-queue.js';
import { PresenceTracker, type PresenceTrackerDeps } from '../../../../lib/core/hub/presence-tracker.js';
import type { Subscription } from '../../../../lib/core/hub/subscription.js';
import type { BrokerPresence, PresenceEntry } from '../../../../lib/core/ports/broker.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

const LEASE_MS = 30_000;

/** What a tracker uses of a subscription. */
function member(): Subscription {
  let entry: PresenceEntry | undefined;
  const used: Pick<Subscription, 'presence' | 'enterPresence' | 'leavePresence'> = {
    get presence() {
      return entry;
    },
    enterPresence: (entered) => void (entry = entered),
    leavePresence: () => {
      const before = entry;
      entry = undefined;
      return before;
    },
  };
  return used as Subscription;
}

describe('members of a node (G19)', () => {
  let clock: ManualClock;
  let renewed: (readonly string[])[];
  let warnings: string[];
  let answer: () => Promise<void>;
  let tracker: PresenceTracker;

  beforeEach(() => {
    clock = new ManualClock();
    renewed = [];
    warnings = [];
    answer = () => Promise.resolve();
    const members: Pick<BrokerPresence, 'enter' | 'leave' | 'renew'> = {
      enter: () => Promise.resolve(),
      leave: () => Promise.resolve(),
      renew: (entries, leaseMs) => {
        expect(leaseMs).toBe(LEASE_MS);
        renewed.push(entries.map(({ channel }) => channel));
        return answer();
      },
    };
    tracker = new PresenceTracker({
      members,
      clock,
      retries: new RetryQueue(clock),
      journal: { warn: (_: string, message: () => string) => void warnings.push(message()) },
      logger: { debug: () => undefined },
      settings: { presenceLeaseMs: LEASE_MS },
    } as unknown as PresenceTrackerDeps);
    tracker.start();
  });

  async function enter(channel: string): Promise<Subscription> {
    const subscription = member();
    await tracker.enter(subscription, { channel, member: 'ada', device: 'd', generation: 1 });
    return subscription;
  }

  it('are renewed in each third of a lease until they leave', async () => {
    const first = await enter('a');
    await enter('b');
    await clock.advanceAsync(LEASE_MS / 3);
    tracker.leave(first, 0);
    await clock.advanceAsync(LEASE_MS / 3);
    expect(renewed).toEqual([['a', 'b'], ['b']]);
    tracker.stop();
    await clock.advanceAsync(LEASE_MS);
    expect(renewed).toHaveLength(2);
  });

  it('are spread over a third of a lease where they are many', async () => {
    for (let index = 0; index < 20_000; index++) await enter(`rooms.${index}`);
    await clock.advanceAsync((2 * LEASE_MS) / 3 - 1);
    expect(renewed.map(({ length }) => length)).toEqual(Array.from({ length: 100 }, () => 200));
    expect(new Set(renewed.flat()).size).toBe(20_000);
  });

  it('that are renewed late are logged once', async () => {
    for (let index = 0; index < 1_000; index++) await enter(`rooms.${index}`);
    answer = () => new Promise((resolve) => clock.schedule(LEASE_MS, resolve));
    await clock.advanceAsync(4 * LEASE_MS);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('Renewing 1000 members takes longer');
  });

  it('are waited for while they are renewed', async () => {
    await enter('a');
    let end = (): void => undefined;
    answer = () => new Promise((resolve) => (end = resolve));
    await clock.advanceAsync(LEASE_MS / 3);
    let settled = false;
    const waiting = tracker.settled().then(() => (settled = true));
    await clock.advanceAsync(0);
    expect(settled).toBe(false);
    end();
    await waiting;
  });
});
