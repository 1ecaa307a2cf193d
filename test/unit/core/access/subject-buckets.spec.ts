import { describe, expect, it } from '@jest/globals';
import { RateLimit } from '../../../../lib/core/access/rate-limit.js';
import { SubjectBuckets } from '../../../../lib/core/access/subject-buckets.js';

/** Buckets of two tokens, one of which comes back each second. */
const open = (capacity: number) => new SubjectBuckets(new RateLimit(1, 2), capacity);

/** Spends the bucket of each subject. */
function spend(buckets: SubjectBuckets, from: number, to: number, now = 0): void {
  for (let number = from; number <= to; number++) {
    expect(buckets.take(`user${number}`, 2, now)).toBe(true);
  }
}

const isSpent = (buckets: SubjectBuckets, number: number, now = 0) => !buckets.take(`user${number}`, 1, now);

describe('SubjectBuckets', () => {
  it('counts what is taken from, and drawn of, a bucket that it has already', () => {
    const buckets = open(4);
    expect(buckets.take('ada', 1, 0)).toBe(true);
    expect(buckets.take('ada', 1, 0)).toBe(true);
    expect(buckets.take('ada', 1, 0)).toBe(false);
    buckets.draw('ada', 1, 0);
    expect(buckets.debtMs('ada', 0)).toBeCloseTo(1_000);
    expect(buckets.size).toBe(1);
  });

  it.each([1, 4, 256, 1_000])('keeps %i buckets exactly where that is its capacity', (capacity) => {
    const buckets = open(capacity);
    spend(buckets, 1, capacity);
    expect(buckets.size).toBe(capacity);
    expect(isSpent(buckets, 1)).toBe(true);
    expect(isSpent(buckets, capacity)).toBe(true);
    // One that is known needs no room.
    buckets.draw('user1', 1, 0);
    expect(buckets.size).toBe(capacity);
  });

  it.each([
    [2, 1],
    [4, 3],
    [256, 192],
    [1_000, 750],
  ])(
    'one above a capacity of %i forgets the oldest, and keeps the newest %i and itself',
    (capacity, kept) => {
      const buckets = open(capacity);
      spend(buckets, 1, capacity + 1);
      expect(buckets.size).toBe(kept + 1);
      for (const number of [1, capacity - kept]) expect(buckets.waitFor(`user${number}`, 2, 0)).toBe(0);
      for (const number of [capacity - kept + 1, capacity, capacity + 1])
        expect(buckets.waitFor(`user${number}`, 2, 0)).toBe(2_000);
    },
  );

  it('holds the newest alone where its capacity is one', () => {
    const buckets = open(1);
    spend(buckets, 1, 3);
    expect(buckets.size).toBe(1);
    expect([1, 2, 3].map((number) => buckets.waitFor(`user${number}`, 2, 0))).toEqual([0, 0, 2_000]);
  });

  it('never holds more than its capacity, however many come', () => {
    const buckets = open(300);
    for (let number = 1; number <= 5_000; number++) {
      spend(buckets, number, number);
      expect(buckets.size).toBeLessThanOrEqual(300);
    }
  });

  it('forgets those that are full again before any that is not', () => {
    const buckets = open(4);
    spend(buckets, 1, 1, 1_500);
    spend(buckets, 2, 4, 0);
    // At 2 s all but the first are full again.
    spend(buckets, 5, 5, 2_000);
    expect(buckets.size).toBe(2);
    expect(buckets.waitFor('user1', 2, 2_000)).toBe(1_500);
  });

  it('does not keep a bucket for what was refused', () => {
    const buckets = open(4);
    expect(buckets.take('user1', 3, 0)).toBe(false);
    expect(buckets.size).toBe(0);
  });

  it('keeps a long name apart from others that begin alike, at the length of a digest', () => {
    const buckets = open(4);
    const [left, right] = ['a', 'b'].map((end) => `${'x'.repeat(500)}${end}`) as [string, string];
    expect(buckets.take(left, 2, 0)).toBe(true);
    expect(buckets.take(left, 1, 0)).toBe(false);
    expect(buckets.take(right, 2, 0)).toBe(true);
    const keys = [...(buckets as unknown as { buckets: ReadonlyMap<string, number> }).buckets.keys()];
    expect(keys.every(({ length }) => length <= 64)).toBe(true);
    expect(buckets.take('y'.repeat(64), 1, 0)).toBe(true);
  });
});
