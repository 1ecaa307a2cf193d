import { describe, expect, it } from '@jest/globals';
import { systemEntropy } from '../../../../lib/core/ports/entropy.js';

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
