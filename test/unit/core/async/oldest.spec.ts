import { describe, expect, it } from '@jest/globals';
import { trimOldest } from '../../../../lib/core/async/oldest.js';

describe('what is kept of a map or a set', () => {
  it('is what was added last, and no more than so many', () => {
    const map = new Map([1, 2, 3, 4].map((key) => [key, `${key}`]));
    trimOldest(map, 2);
    expect([...map.keys()]).toEqual([3, 4]);
    const set = new Set(['a', 'b']);
    set.delete('a');
    set.add('a');
    trimOldest(set, 1);
    expect([...set]).toEqual(['a']);
  });

  it('is everything up to that number, and nothing where none may be kept', () => {
    const set = new Set([1, 2]);
    trimOldest(set, 2);
    expect(set.size).toBe(2);
    trimOldest(set, 0);
    expect(set.size).toBe(0);
    trimOldest(set, 0);
    expect(set.size).toBe(0);
  });
});
