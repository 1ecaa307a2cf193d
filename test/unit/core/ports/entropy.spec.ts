import { describe, expect, it } from '@jest/globals';
import { spreadWait, systemEntropy } from '../../../../lib/core/ports/entropy.js';

describe('random values of the operating system', () => {
  it.each([
    ['ids', () => systemEntropy.id(), 20],
    ['tokens', () => systemEntropy.token(), 12],
  ])('%s are unique and of fixed length', (_, make, length) => {
    const made: string[] = [];
    for (let n = 0; n < 5_000; n++) {
      made.push(make());
      // Both draw from one pool: neither may be given what the other was.
      if (n % 3 === 0) systemEntropy.id();
      if (n % 5 === 0) systemEntropy.token();
    }
    expect(new Set(made).size).toBe(made.length);
    for (const text of made) expect(text).toMatch(/^[\w-]+$/);
    // Every place takes every value: none is a constant of the process.
    for (let place = 0; place < length; place++)
      expect(new Set(made.map((text) => text[place])).size).toBe(64);
    expect(new Set(made.map((text) => text.length))).toEqual(new Set([length]));
  });
});

describe('advice to clients whose wait has one cause', () => {
  it.each([
    [1_000, 0, 1_000],
    [1_000, 0.5, 1_500],
    [1_000, 0.9999, 2_000],
    [0.2, 0, 1],
    [5, 0.5, 130],
    [0, 0.9999, 250],
  ])('a wait of %s ms is spread by %s to %s ms', (waitMs, random, expected) => {
    expect(spreadWait(waitMs, { random: () => random })).toBe(expected);
  });
});
