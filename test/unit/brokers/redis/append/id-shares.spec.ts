import { describe, expect, it } from '@jest/globals';
import { CountedId, IdShares } from '../../../../../lib/brokers/redis/append/id-shares.js';
import { POLICY } from '../../../../support/engine/append-requests.js';
import { ManualClock } from '../../../../support/engine/manual-clock.js';

const WINDOW = 1_000;

function shares(share: number) {
  const clock = new ManualClock();
  const made = new IdShares(clock, share);
  const count = (producer: string, dedupeMs = WINDOW) =>
    made.take({ producer, policy: { ...POLICY, dedupeMs } });
  /** How long to wait, or nothing. */
  const take = (producer: string, dedupeMs?: number) => {
    const taken = count(producer, dedupeMs);
    return typeof taken === 'number' ? taken : undefined;
  };
  const counted = (producer: string, dedupeMs?: number): CountedId => {
    const taken = count(producer, dedupeMs);
    if (taken instanceof CountedId) return taken;
    throw new Error(`Not counted: ${taken ?? 'nothing to count'}`);
  };
  const many = (producer: string, count: number) => Array.from({ length: count }, () => take(producer));
  return { clock, take, counted, many };
}

const free = (count: number) => Array.from({ length: count }, () => undefined);

describe('the share of ids of a producer', () => {
  it.each([1, 2, 5])('is exactly %i ids, and each producer has its own (P15)', (share) => {
    const { take, many } = shares(share);
    expect(many('u:ada', share)).toEqual(free(share));
    expect(take('u:ada')).toEqual(expect.any(Number));
    expect(many('u:eve', share)).toEqual(free(share));
    expect(take('u:eve')).toEqual(expect.any(Number));
  });

  it('what is refused counts nothing, and may be sent again when the answer says, the second time too (P15)', () => {
    const { clock, take, many } = shares(3);
    for (const _time of [1, 2, 3]) {
      expect(many('u:ada', 3)).toEqual(free(3));
      const waits = many('u:ada', 50);
      // Three of this turn count until the next one ends.
      expect(waits).toEqual(waits.map(() => 2 * WINDOW));
      clock.advance(WINDOW);
      expect(take('u:ada')).toBe(WINDOW);
      clock.advance(WINDOW - 1);
      expect(take('u:ada')).toBe(1);
      clock.advance(1);
    }
  });

  it('counts each id for at least a window, and for at most two (P15)', () => {
    const { clock, take } = shares(2);
    take('u:eve');
    clock.advance(WINDOW - 1);
    take('u:ada');
    clock.advance(1);
    take('u:ada');
    clock.advance(WINDOW - 2);
    // The first is a window old now, and counts until the turn ends.
    expect(take('u:ada')).toBe(2);
    clock.advance(2);
    expect(take('u:ada')).toBeUndefined();
    expect(take('u:ada')).toBe(WINDOW);
    // After a silence of two windows nothing counts.
    clock.advance(2 * WINDOW);
    expect([take('u:ada'), take('u:ada')]).toEqual([undefined, undefined]);
  });

  it('all anonymous sessions have five shares together, and the application is not counted (P15)', () => {
    const { take, many } = shares(2);
    expect(Array.from({ length: 10 }, (_, index) => take(`s:${index}`))).toEqual(free(10));
    expect(take('s:new')).toEqual(expect.any(Number));
    expect(take('u:ada')).toBeUndefined();
    expect(many('a:shop', 100)).toEqual(free(100));
  });

  it('what is not remembered is not counted (P27)', () => {
    const { take } = shares(1);
    for (let count = 0; count < 10; count++) expect(take('u:ada', 0)).toBeUndefined();
    expect(take('u:ada')).toBeUndefined();
  });

  it('a long window of a producer does not make its short ones longer (P15)', () => {
    const { clock, take, many } = shares(3);
    take('u:ada', 100 * WINDOW);
    expect(many('u:ada', 2)).toEqual(free(2));
    // The ids of short windows end first.
    expect(take('u:ada')).toBe(2 * WINDOW);
    expect(take('u:ada', 100 * WINDOW)).toBe(2 * WINDOW);
    clock.advance(2 * WINDOW);
    expect(many('u:ada', 2)).toEqual(free(2));
    // All windows together have one share.
    expect(take('u:ada')).toBe(2 * WINDOW);
    clock.advance(2 * WINDOW);
    expect(take('u:ada', 100 * WINDOW)).toBeUndefined();
    expect(take('u:ada', 100 * WINDOW)).toBeUndefined();
    // Now no short one is left to end.
    expect(take('u:ada')).toBe(196 * WINDOW);
    clock.advance(196 * WINDOW);
    expect(take('u:ada')).toBeUndefined();
  });

  it('is given back for what is not remembered after all, once, and in the turn in which it was counted (P15)', () => {
    const { clock, take, counted } = shares(2);
    const [one, other] = [counted('u:ada'), counted('u:ada')];
    expect(take('u:ada')).toBe(2 * WINDOW);
    one.giveBack();
    expect(take('u:ada')).toBeUndefined();
    expect(take('u:ada')).toBe(2 * WINDOW);
    clock.advance(WINDOW);
    expect(take('u:ada')).toBe(WINDOW);
    other.giveBack();
    expect(take('u:ada')).toBeUndefined();
    // One of each turn is left: the older one ends first.
    expect(take('u:ada')).toBe(WINDOW);
    clock.advance(10 * WINDOW);
    counted('u:ada').giveBack();
    expect([take('u:ada'), take('u:ada'), take('u:ada')]).toEqual([undefined, undefined, 2 * WINDOW]);
  });
});
