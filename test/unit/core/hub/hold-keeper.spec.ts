import { beforeEach, describe, expect, it } from '@jest/globals';
import { RetryQueue } from '../../../../lib/core/async/retry-queue.js';
import { HoldKeeper } from '../../../../lib/core/hub/hold-keeper.js';
import type { Hold } from '../../../../lib/core/ports/transitions.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';

const LEASE_MS = 30_000;

let clock: ManualClock;
let calls: string[];
let warnings: string[];
/** What the broker does with each call that holds. */
let answer: () => Promise<void>;
let keeper: HoldKeeper;
let retries: RetryQueue;

function hold(channel: string, change: Partial<Hold> = {}): Hold {
  return { channel, holder: 'n1', generation: 1, ...change };
}

function taken(): readonly string[] {
  return calls.splice(0);
}

beforeEach(() => {
  clock = new ManualClock();
  calls = [];
  warnings = [];
  answer = () => Promise.resolve();
  retries = new RetryQueue(clock);
  keeper = new HoldKeeper({
    transitions: {
      hold: (holds, leaseMs) => {
        calls.push(
          `hold ${holds.map(({ channel, member = '' }) => channel + member).join(',')} for ${leaseMs}`,
        );
        return answer();
      },
      release: ({ channel, generation }, graceMs) => {
        calls.push(`release ${channel} ${generation} after ${graceMs}`);
        return answer();
      },
    },
    clock,
    retries,
    journal: { warn: (_, message) => void warnings.push(message()) },
    leaseMs: LEASE_MS,
  });
  keeper.start();
});

describe('what a node holds (G32)', () => {
  it('is written at once, renewed within each third of a lease, and not after it was released', async () => {
    keeper.hold(hold('a'));
    keeper.hold(hold('b'));
    expect(taken()).toEqual(['hold a for 30000', 'hold b for 30000']);
    await clock.advanceAsync(LEASE_MS / 3 - 1);
    expect(taken()).toEqual([]);
    await clock.advanceAsync(1);
    expect(taken()).toEqual(['hold a,b for 30000']);
    keeper.release(hold('a'), 5_000);
    expect(taken()).toEqual(['release a 1 after 5000']);
    await clock.advanceAsync(LEASE_MS / 3);
    expect(taken()).toEqual(['hold b for 30000']);
  });

  it('is released once, and only where it is held', () => {
    keeper.release(hold('a'), 0);
    keeper.hold(hold('a'));
    keeper.release(hold('a'), 0);
    keeper.release(hold('a'), 0);
    expect(taken()).toEqual(['hold a for 30000', 'release a 1 after 0']);
  });

  it('is neither changed nor ended by an older generation (P28)', () => {
    const device = { member: '/u1', holder: 'd1' };
    keeper.hold(hold('a', { ...device, generation: 2 }));
    keeper.hold(hold('a', { ...device, generation: 1 }));
    keeper.release(hold('a', { ...device, generation: 1 }), 0);
    keeper.release(hold('a', { ...device, generation: 2 }), 0);
    expect(taken()).toEqual(['hold a/u1 for 30000', 'release a 2 after 0']);
  });

  it('keeps a channel, its members and their devices apart', async () => {
    keeper.hold(hold('a'));
    keeper.hold(hold('a', { member: '/u1', holder: 'd1' }));
    keeper.hold(hold('a', { member: '/u1', holder: 'd2' }));
    keeper.hold(hold('a', { member: '/u2', holder: 'd3' }));
    taken();
    keeper.release(hold('a', { member: '/u1', holder: 'd1' }), 0);
    taken();
    await clock.advanceAsync(LEASE_MS / 3);
    expect(taken()).toEqual(['hold a,a/u1,a/u2 for 30000']);
  });

  it('is renewed in calls of a bounded number, a tenth of a second apart', async () => {
    for (let index = 0; index < 1_001; index++) keeper.hold(hold(`c${index}`));
    taken();
    const sizes: (readonly number[])[] = [];
    await clock.advanceAsync(LEASE_MS / 3);
    for (let part = 0; part < 7; part++) {
      sizes.push(taken().map((call) => call.split(',').length));
      await clock.advanceAsync(100);
    }
    expect(sizes).toEqual([[200], [200], [200], [200], [200], [1], []]);
  });

  it('is renewed in calls of a bounded size', async () => {
    for (let index = 0; index < 100; index++) keeper.hold(hold(`${index}`.padEnd(10_000, 'x')));
    taken();
    await clock.advanceAsync(LEASE_MS / 3 + 5_000);
    const sizes = taken().map((call) => call.split(',').length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(14);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(100);
  });

  it('leaves out of a renewal what was released while the calls before it were under way', async () => {
    for (let index = 0; index < 600; index++) keeper.hold(hold(`c${index}`));
    taken();
    let end = (): void => undefined;
    answer = () => new Promise((resolve) => (end = resolve));
    await clock.advanceAsync(LEASE_MS / 3);
    answer = () => Promise.resolve();
    keeper.release(hold('c599'), 0);
    taken();
    end();
    await clock.advanceAsync(500);
    expect(taken().at(-1)).toMatch(/c598 /);
  });

  it('is written again soon where the broker did not take it, and at once when the broker is back', async () => {
    answer = () => Promise.reject(new Error('away'));
    keeper.hold(hold('a'));
    keeper.hold(hold('b'));
    await settle();
    keeper.release(hold('b'), 0);
    await settle();
    taken();
    await clock.advanceAsync(500);
    expect(taken()).toEqual(['hold a for 30000']);
    answer = () => Promise.resolve();
    retries.wake();
    expect(taken()).toEqual(['hold a for 30000']);
    await clock.advanceAsync(5_000);
    expect(taken()).toEqual([]);
    expect(warnings[0]).toBe(
      'Which channels and members are held here did not reach the broker: Error: away',
    );
  });

  it('is not written again after the broker took it, when another one fails later', async () => {
    answer = () => Promise.reject(new Error('away'));
    keeper.hold(hold('a'));
    await settle();
    answer = () => Promise.resolve();
    await clock.advanceAsync(500);
    answer = () => Promise.reject(new Error('away'));
    keeper.hold(hold('b'));
    await settle();
    taken();
    await clock.advanceAsync(500);
    expect(taken()).toEqual(['hold b for 30000']);
  });

  it('is renewed as a whole where one call of a renewal fails', async () => {
    for (let index = 0; index < 1_001; index++) keeper.hold(hold(`c${index}`));
    taken();
    let failures = 1;
    answer = () => (failures-- > 0 ? Promise.reject(new Error('full')) : Promise.resolve());
    await clock.advanceAsync(LEASE_MS / 3);
    expect(taken()).toHaveLength(1);
    await clock.advanceAsync(500);
    expect(taken().map((call) => call.split(',').length)).toEqual([200, 200, 200, 200, 200, 1]);
    expect(warnings).toHaveLength(1);
  });

  it('is not renewed twice at the same time where the broker is slow, and is renewed once it answers', async () => {
    keeper.hold(hold('a'));
    taken();
    let end = (): void => undefined;
    answer = () => new Promise((resolve) => (end = resolve));
    await clock.advanceAsync(LEASE_MS);
    expect(taken()).toHaveLength(1);
    end();
    await clock.advanceAsync(LEASE_MS / 3);
    expect(taken()).toHaveLength(1);
  });

  it('ends with the node: nothing is held or renewed after close()', async () => {
    keeper.hold(hold('a'));
    answer = () => Promise.reject(new Error('closed'));
    keeper.hold(hold('b'));
    taken();
    keeper.close();
    keeper.hold(hold('c'));
    await clock.advanceAsync(3 * LEASE_MS);
    expect(taken()).toEqual([]);
    expect(warnings).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});
