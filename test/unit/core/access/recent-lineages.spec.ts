import { describe, expect, it } from '@jest/globals';
import { RecentLineages } from '../../../../lib/core/access/recent-lineages.js';

const KEPT_MS = 1_000;
const AGAIN_MS = 100;
const open = (capacity: number) => new RecentLineages(capacity, KEPT_MS, AGAIN_MS);

describe('RecentLineages', () => {
  it.each([1, 5])(
    'keeps %i sessions exactly where that is its capacity, and forgets the oldest for one more',
    (capacity) => {
      const lineages = open(capacity);
      for (let number = 1; number <= capacity; number++) lineages.remember(`l${number}`, number, 0);
      expect(lineages.size).toBe(capacity);
      lineages.remember(`l${capacity + 1}`, 99, 0);
      expect(lineages.size).toBe(capacity);
      expect(lineages.claim('l1', 0)).toBe(0);
      expect(lineages.claim(`l${capacity + 1}`, 0)).toBe(99);
      if (capacity > 1) expect(lineages.claim('l2', 0)).toBe(2);
    },
  );

  it('a session that ends again needs no more room, and is the newest then', () => {
    const lineages = open(2);
    lineages.remember('a', 1, 0);
    lineages.remember('b', 2, 0);
    lineages.remember('a', 3, 0);
    expect(lineages.size).toBe(2);
    lineages.remember('c', 4, 0);
    expect([lineages.claim('a', 0), lineages.claim('b', 0), lineages.claim('c', 0)]).toEqual([3, 0, 4]);
  });

  it('remembers an end for its time to the millisecond, and drops what is older when another ends', () => {
    const lineages = open(10);
    lineages.remember('a', 1, 0);
    lineages.remember('b', 2, 1);
    expect(lineages.claim('a', KEPT_MS)).toBe(1);
    lineages.remember('c', 3, KEPT_MS + 1);
    expect(lineages.size).toBe(2);
    expect(lineages.claim('a', KEPT_MS + 1)).toBe(0);
    expect(lineages.claim('b', KEPT_MS + 1)).toBe(2);
    expect(lineages.claim('c', 2 * KEPT_MS + 2)).toBe(0);
  });

  it('grants an end once, and a session again only after its time', () => {
    const lineages = open(10);
    lineages.remember('a', 7, 0);
    expect([lineages.claim('a', 0), lineages.claim('a', 0), lineages.claim('a', AGAIN_MS)]).toEqual([
      7, 0, 0,
    ]);
    lineages.remember('a', 8, AGAIN_MS);
    expect(lineages.claim('a', 2 * AGAIN_MS - 1)).toBe(0);
    expect(lineages.claim('a', 2 * AGAIN_MS)).toBe(8);
    expect(lineages.claim('never', 0)).toBe(0);
  });
});
