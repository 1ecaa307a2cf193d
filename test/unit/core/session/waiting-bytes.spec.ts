import { beforeEach, describe, expect, it } from '@jest/globals';
import { WaitingBytes } from '../../../../lib/core/session/waiting-bytes.js';

let waiting: WaitingBytes;
beforeEach(() => {
  waiting = new WaitingBytes(8_000);
});

describe('bytes of the commands that wait on a node (G16)', () => {
  it('one client may fill an eighth, and finds room again when it is given back', () => {
    expect(waiting.take('mallory', 400)).toBe(true);
    expect(waiting.take('mallory', 600)).toBe(true);
    expect(waiting.take('mallory', 1)).toBe(false);
    waiting.give('mallory', 400);
    expect(waiting.take('mallory', 400)).toBe(true);
    expect(waiting.bytes).toBe(1_000);
  });

  it('where all is taken, who has nothing waiting finds room for one command, whatever its size', () => {
    for (let client = 0; client < 8; client++)
      for (const bytes of [500, 500]) expect(waiting.take(`user ${client}`, bytes)).toBe(true);
    expect(waiting.take('bob', 100)).toBe(true);
    expect(waiting.take('bob', 1)).toBe(false);
    waiting.give('bob', 100);
    expect(waiting.take('ada', 3_000)).toBe(true);
    expect(waiting.take('ada', 1)).toBe(false);
    waiting.give('ada', 3_000);
    expect(waiting.bytes).toBe(8_000);
    waiting.give('user 0', 500);
    expect(waiting.take('user 0', 501)).toBe(false);
    expect(waiting.take('user 0', 500)).toBe(true);
  });

  it('is empty when all was given back', () => {
    waiting.take('ada', 300);
    waiting.take('bob', 200);
    waiting.give('ada', 300);
    waiting.give('bob', 200);
    expect(waiting.bytes).toBe(0);
    expect(waiting.take('ada', 8_000)).toBe(true);
  });
});
