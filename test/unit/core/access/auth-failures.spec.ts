import { beforeEach, describe, expect, it } from '@jest/globals';
import { AuthFailures } from '../../../../lib/core/access/auth-failures.js';
import { ENGINE_DEFAULTS } from '../../../../lib/core/ports/settings-defaults.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

describe('credentials that were refused (G16)', () => {
  let clock: ManualClock;
  let failures: AuthFailures;

  beforeEach(() => {
    clock = new ManualClock();
    failures = new AuthFailures({
      clock,
      settings: {
        limits: { ...ENGINE_DEFAULTS.limits, maxRateBuckets: 10 },
        abuse: {
          ...ENGINE_DEFAULTS.abuse,
          authFailures: 3,
          authFailureWindowMs: 6_000,
          authHoldMs: 1_000,
          authHoldMaxMs: 4_000,
        },
      },
    });
  });

  const note = (network = 'a'): number | undefined => failures.note(network)?.waitMs;
  const notes = (count: number): (number | undefined)[] => Array.from({ length: count }, () => note());

  it('an address is held after so many, and others are not', () => {
    expect(notes(4)).toEqual([undefined, undefined, undefined, 1_000]);
    expect(note('b')).toBeUndefined();
    clock.advance(999);
    expect(failures.note('a')).toEqual({ waitMs: 1, isNew: false });
    clock.advance(1);
    expect(failures.note('a')?.isNew).toBe(true);
  });

  it('only the first refusal of a hold begins one', () => {
    notes(3);
    expect(failures.note('a')).toEqual({ waitMs: 1_000, isNew: true });
    expect(failures.note('a')).toEqual({ waitMs: 1_000, isNew: false });
  });

  it('to guess again soon holds it twice as long, up to a bound', () => {
    notes(4);
    for (const [afterMs, lengthMs] of [
      [1_000, 2_000],
      [2_000, 4_000],
      [4_000, 4_000],
    ] as const) {
      // What is guessed in the hold counts as well.
      notes(5);
      clock.advance(afterMs);
      expect(note()).toBe(lengthMs);
    }
  });

  it('one that was quiet in its hold has tokens again', () => {
    notes(4);
    clock.advance(4_000);
    expect(notes(3)).toEqual([undefined, undefined, 2_000]);
  });

  it('holds are forgotten after a quiet time', () => {
    notes(4);
    clock.advance(1_000);
    clock.advance(5_999);
    expect(notes(4).at(-1)).toBe(2_000);
    clock.advance(2_000 + 6_000);
    expect(notes(4).at(-1)).toBe(1_000);
  });

  it('no more addresses are kept than rates', () => {
    for (let n = 0; n < 15; n++) for (let guess = 0; guess < 4; guess++) failures.note(`n${n}`);
    expect(failures.size).toBe(10);
    // The newest are: the next guess of one begins no hold.
    expect(failures.note('n14')?.isNew).toBe(false);
  });
});
