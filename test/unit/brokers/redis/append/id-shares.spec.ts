import { describe, expect, it } from '@jest/globals';
import { IdShares } from '../../../../../lib/brokers/redis/append/id-shares.js';
import { POLICY } from '../../../../support/engine/append-requests.js';
import { ManualClock } from '../../../../support/engine/manual-clock.js';

const WINDOW = 1_000;

function shares(share: number) {
  const clock = new ManualClock();
  const made = new IdShares(clock, share);
  const take = (producer: string, dedupeMs = WINDOW) =>
    made.take({ producer, policy: { ...POLICY, dedupeMs } });
  const many = (producer: string, count: number) => Array.from({ length: count }, () => take(producer));
  return { clock, take, many };
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

  it('a longer window lengthens the turn (P15)', () => {
    const { clock, take } = shares(1);
    take('u:ada', WINDOW);
    take('u:eve', 5 * WINDOW);
    clock.advance(2 * WINDOW);
    expect(take('u:eve', WINDOW)).toEqual(expect.any(Number));
  });
});
