import { describe, expect, it } from '@jest/globals';
import { largestRate, moveOf } from '../../../bench/rolling/outcome.mjs';
import { Witness } from '../../../bench/rolling/witness.mjs';

describe('the outcome of a rolling restart', () => {
  it.each([
    ['none', [], 0],
    ['all in one window', [0, 10, 999], 3],
    ['one at its end, which is the next', [0, 10, 1_000], 2],
    ['the densest of several', [0, 900, 1_000, 1_100, 3_000], 3],
  ])('counts the most connects of a second: %s', (_, moments, most) => {
    expect(largestRate(moments, 1_000)).toBe(most);
  });

  it('tells those who lost their node from the others', () => {
    const clients = [
      { longest: 300, moved: true },
      { longest: 100, moved: false },
      { longest: 200, moved: true },
    ];
    expect(moveOf({ clients, accepted: [5, 105], refused: 1 })).toEqual({
      moved: 2,
      silences: [300, 200],
      stayed: [100],
      connects: 2,
      refused: 1,
      overMs: 100,
      largestPerSecond: 2,
    });
  });
});

describe('the witness of a client', () => {
  const fed = (...numbers: number[]): Witness => {
    const witness = new Witness();
    for (const n of numbers) witness.note('tick', { n });
    return witness;
  };

  it('sees what is missing, of what was acknowledged alone', () => {
    expect(fed(0, 1, 3).missing({ tick: [0, 1, 2, 3], said: [0] })).toBe(2);
    expect(fed(0, 1, 2, 3).missing({ tick: [0, 2], said: [] })).toBe(0);
  });

  it('sees what came twice, and what came behind a later one', () => {
    const witness = fed(0, 2, 1, 1);
    expect(witness.doubled).toBe(1);
    expect(witness.disordered).toBe(1);
    expect(fed(0, 1, 2)).toMatchObject({ doubled: 0, disordered: 0 });
  });

  it('keeps numbers far above those before', () => {
    const witness = fed(0, 1_000, 1_000);
    expect(witness.doubled).toBe(1);
    expect(witness.missing({ tick: [0, 999, 1_000], said: [] })).toBe(1);
  });

  it('says once that its client lost the connection', () => {
    const witness = fed(0);
    witness.moved = true;
    expect(witness.measure().moved).toBe(true);
    expect(witness.measure().moved).toBe(false);
  });
});
