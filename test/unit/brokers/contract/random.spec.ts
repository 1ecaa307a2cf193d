import { describe, expect, it } from '@jest/globals';
import { Random } from '../../../../lib/brokers/contract/random.js';

const draw = (seed: number, count: number, one: (random: Random) => unknown) => {
  const random = new Random(seed);
  return Array.from({ length: count }, () => one(random));
};

describe('Random', () => {
  it('draws the same from the same seed, and something else from another seed', () => {
    const numbers = (seed: number) => draw(seed, 50, (random) => random.int(0, 1_000_000));
    expect(numbers(1)).toEqual(numbers(1));
    expect(numbers(1)).not.toEqual(numbers(2));
    expect(numbers(0)).not.toEqual(numbers(-1));
  });

  it('draws every integer of a range, its bounds more often', () => {
    const drawn = draw(3, 10_000, (random) => random.int(-2, 7)) as number[];
    expect([...new Set(drawn)].sort((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2, 3, 4, 5, 6, 7]);
    const share = (value: number) => drawn.filter((one) => one === value).length / drawn.length;
    // An eighth of the draws goes to the two ends, and each has its tenth of the others.
    for (const end of [-2, 7]) expect(Math.abs(share(end) - 0.15)).toBeLessThan(0.02);
    for (const middle of [0, 3, 6]) expect(Math.abs(share(middle) - 0.0875)).toBeLessThan(0.02);
  });

  it('draws from a range of one integer', () => {
    expect(new Set(draw(4, 100, (random) => random.int(5, 5)))).toEqual(new Set([5]));
  });

  it('picks every item in proportion to its occurrences in the list', () => {
    const drawn = draw(5, 8_000, (random) => random.pick(['a', 'a', 'a', 'b']));
    const share = drawn.filter((item) => item === 'a').length / drawn.length;
    expect(share).toBeGreaterThan(0.72);
    expect(share).toBeLessThan(0.78);
  });

  it('makes lists of every length, the bounds included', () => {
    const lists = draw(6, 2_000, (random) => random.list(2, 40, () => 'item')) as string[][];
    expect([...new Set(lists.map(({ length }) => length))].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 39 }, (_, index) => index + 2),
    );
  });
});
