import { beforeEach, describe, expect, it } from '@jest/globals';
import { TurnPace } from '../../../../lib/core/async/turn-pace.js';

let now: number;
let pace: TurnPace;
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
  now = 0;
  pace = new TurnPace({ now: () => 0, monotonic: () => now, schedule: () => ({ cancel: () => undefined }) });
});

describe('work that is spread over turns of the event loop (G16)', () => {
  it('does not wait while little of it comes', () => {
    for (let index = 0; index < 1_000; index++) expect(pace.turn()).toBeUndefined();
    now = 7.9;
    expect(pace.turn()).toBeUndefined();
  });

  it('waits once the turn was long enough, and is done in its order, one in each turn', async () => {
    const done: number[] = [];
    expect(pace.turn()).toBeUndefined();
    now = 8;
    for (let index = 0; index < 3; index++) void pace.turn()?.then(() => done.push(index));
    const seen: number[] = [];
    for (let turn = 0; turn < 5; turn++) {
      await nextTurn();
      seen.push(done.length);
    }
    expect(done).toEqual([0, 1, 2]);
    expect(Math.max(...seen.map((count, index) => count - (seen[index - 1] ?? 0)))).toBe(1);
  });

  it('does not overtake what waits', async () => {
    void pace.turn();
    now = 8;
    void pace.turn();
    now = 0;
    expect(pace.turn()).toBeInstanceOf(Promise);
    for (let turn = 0; turn < 4; turn++) await nextTurn();
    expect(pace.turn()).toBeUndefined();
  });

  it('is counted from zero in the next turn', async () => {
    void pace.turn();
    await nextTurn();
    await nextTurn();
    now = 100;
    expect(pace.turn()).toBeUndefined();
  });
});
