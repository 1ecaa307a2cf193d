import { describe, expect, it } from '@jest/globals';
import { Backoff, exponentialDelay, LOSS } from '../../../lib/client/backoff.js';
import type { RetryPolicy } from '../../../lib/protocol/messages.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import fc from '../../support/property.js';

const policy: RetryPolicy = { baseMs: 500, maxMs: 20_000, firstSpreadMs: 2_000, stableMs: 10_000 };
const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

function backoff(random: () => number): Backoff {
  return new Backoff({ clock: new ManualClock(), random, retry: () => policy });
}

describe('backoff (P19)', () => {
  it('draws the delay with full jitter between 0 and the exponential bound, which never exceeds maxMs (P19)', () => {
    fc.assert(
      fc.property(unit, fc.integer({ min: 0, max: 5_000 }), (random, retry) => {
        const delay = exponentialDelay(policy, retry, () => random);
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThanOrEqual(Math.min(20_000, 500 * 2 ** Math.min(retry, 10)));
      }),
    );
    expect(exponentialDelay(policy, 0, () => 0)).toBe(0);
    expect(exponentialDelay(policy, 3, () => 0.5)).toBe(2_000);
  });

  it('waits random() × firstSpreadMs before the first attempt after an unannounced loss (P19)', () => {
    fc.assert(
      fc.property(unit, (random) => {
        expect(backoff(() => random).next(LOSS)).toBe(Math.round(random * 2_000));
      }),
    );
  });

  it('spreads a thousand clients that lost one node over the whole spread (P19)', () => {
    const inSlot = Array.from({ length: 10 }, () => 0);
    for (let n = 0; n < 1_000; n++) {
      const slot = Math.floor(backoff(() => n / 1_000).next(LOSS) / 200);
      inSlot[slot] = (inSlot[slot] ?? 0) + 1;
    }
    expect(inSlot).toEqual(Array.from({ length: 10 }, () => 100));
  });

  it('follows advice: retryAfterMs + random() × spreadMs (P19)', () => {
    expect(backoff(() => 0.25).next({ retryAfterMs: 1_000, spreadMs: 4_000 })).toBe(2_000);
    // Without a spread of its own, the policy's: nobody comes back in the same instant.
    expect(backoff(() => 0.25).next({ retryAfterMs: 1_000 })).toBe(1_500);
  });

  it('never shortens a running backoff by advice (P19)', () => {
    const made = backoff(() => 0.5);
    for (let n = 0; n < 4; n++) made.next();
    expect(made.next({ retryAfterMs: 0, spreadMs: 0 })).toBe(0.5 * 8_000);
    expect(made.next({ retryAfterMs: 60_000, spreadMs: 0 })).toBe(60_000);
  });

  it('resets only after a stable connection (P19)', () => {
    const made = backoff(() => 0.5);
    expect([made.next(), made.next(), made.next(), made.attempt]).toEqual([250, 500, 1_000, 4]);
    made.reset();
    expect([made.attempt, made.next(LOSS)]).toEqual([1, 1_000]);
  });
});
