import { describe, expect, it } from '@jest/globals';
import { Turns } from '../../../../lib/core/async/turns.js';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('work that is spread over turns', () => {
  it('is done one piece in each turn, in its order', async () => {
    const turns = new Turns();
    const done: number[] = [];
    for (const piece of [0, 1, 2]) turns.add(() => done.push(piece));
    expect(done).toEqual([]);
    for (const expected of [[0], [0, 1], [0, 1, 2]]) {
      await nextTurn();
      expect(done).toEqual(expected);
    }
  });

  it('may add work, the last piece too', async () => {
    const turns = new Turns();
    const done: string[] = [];
    turns.add(() => {
      done.push('first');
      turns.add(() => done.push('second'));
    });
    await nextTurn();
    await nextTurn();
    expect(done).toEqual(['first', 'second']);
    turns.add(() => done.push('third'));
    await nextTurn();
    expect(done).toHaveLength(3);
  });
});
