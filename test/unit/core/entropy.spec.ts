import { describe, expect, it } from '@jest/globals';
import { systemEntropy } from '../../../lib/core/ports/entropy.js';

describe('the randomness of the operating system', () => {
  it('ids are unique and short, however many are made', () => {
    const ids = Array.from({ length: 5_000 }, () => systemEntropy.id());
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[\w-]{20}$/);
    // Every place takes every value: none is a constant of the process.
    for (let place = 0; place < 20; place++) expect(new Set(ids.map((id) => id[place])).size).toBe(64);
  });
});
