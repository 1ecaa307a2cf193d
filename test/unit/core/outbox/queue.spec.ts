import { describe, expect, it } from '@jest/globals';
import { newQueue } from '../../../support/engine/new-queue.js';

describe('the queue of an outbox', () => {
  it('gives each message once and in order, also while it never empties', () => {
    const queue = newQueue();
    const taken: number[] = [];
    let next = 0;
    const push = (count: number): void => {
      for (let index = 0; index < count; index++)
        queue.push({ bytes: Buffer.alloc(4, next), ref: `${next++}` });
    };
    const take = (count: number): void => {
      for (let index = 0; index < count; index++) taken.push(Number(queue.shift()?.ref));
    };
    push(1_500);
    for (let round = 0; round < 10; round++) {
      take(700);
      push(700);
      expect([queue.length, queue.bytes]).toEqual([1_500, 6_000]);
    }
    take(1_500);
    expect(taken).toEqual(Array.from({ length: next }, (_, index) => index));
    expect([queue.isEmpty, queue.bytes]).toEqual([true, 0]);
  });
});
