import { beforeEach, describe, expect, it } from '@jest/globals';
import { WaitingBytes } from '../../../../lib/core/session/waiting-bytes.js';

let waiting: WaitingBytes;
beforeEach(() => {
  waiting = new WaitingBytes(8_000);
});

describe('memory of the commands that wait on a node, and of large ones that run (G16)', () => {
  it('one client may fill an eighth, and finds room again when it is given back', () => {
    expect(waiting.take('mallory', 400)).toBe(true);
    expect(waiting.take('mallory', 600)).toBe(true);
    expect(waiting.take('mallory', 1)).toBe(false);
    waiting.give('mallory', 400);
    expect(waiting.take('mallory', 400)).toBe(true);
    expect(waiting.bytes).toBe(1_000);
  });

  it('where all is taken, who has nothing waiting finds room for one command of up to 16 KiB', () => {
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

  it('where all is taken, a larger one finds no room', () => {
    const large = new WaitingBytes(160 * 1_024);
    for (let client = 0; client < 8; client++) expect(large.take(`user ${client}`, 20 * 1_024)).toBe(true);
    expect(large.take('bob', 16 * 1_024 + 1)).toBe(false);
    expect(large.take('bob', 16 * 1_024)).toBe(true);
    expect(large.bytes).toBe(176 * 1_024);
  });

  it('one that is larger than the part of a client finds room while there is some, and no other beside it', () => {
    expect(waiting.take('ada', 6_000)).toBe(true);
    expect(waiting.take('ada', 1)).toBe(false);
    waiting.give('ada', 6_000);
    expect(waiting.take('ada', 6_000)).toBe(true);
  });

  it('what is there already is counted whether there is room or not', () => {
    waiting.hold('ada', 9_000);
    expect(waiting.bytes).toBe(9_000);
    expect(waiting.take('ada', 1)).toBe(false);
    waiting.give('ada', 9_000);
    expect(waiting.take('ada', 1)).toBe(true);
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
