import { beforeEach, describe, expect, it } from '@jest/globals';
import { WaitingBytes } from '../../../../lib/core/session/waiting-bytes.js';

const KB = 1_024;
let waiting: WaitingBytes;
beforeEach(() => {
  waiting = new WaitingBytes(800 * KB);
});

describe('memory of the commands that wait on a node, and of those that run (G16)', () => {
  it('one client may fill an eighth, and finds room again when it is given back', () => {
    expect(waiting.take('mallory', 40 * KB)).toBe(true);
    expect(waiting.take('mallory', 60 * KB)).toBe(true);
    expect(waiting.take('mallory', 1)).toBe(false);
    waiting.give('mallory', 40 * KB);
    expect(waiting.take('mallory', 40 * KB)).toBe(true);
    expect(waiting.bytes).toBe(100 * KB);
  });

  it('where all is taken, each client finds room for 16 KiB, in as many commands as it likes', () => {
    for (let client = 0; client < 8; client++)
      for (const bytes of [50 * KB, 50 * KB]) expect(waiting.take(`user ${client}`, bytes)).toBe(true);
    expect(waiting.take('bob', 16 * KB + 1)).toBe(false);
    for (let count = 0; count < 4; count++) expect(waiting.take('bob', 4 * KB)).toBe(true);
    expect(waiting.take('bob', 1)).toBe(false);
    expect(waiting.take('ada', 16 * KB)).toBe(true);
    waiting.give('ada', 16 * KB);
    waiting.give('bob', 16 * KB);
    expect(waiting.bytes).toBe(800 * KB);
    waiting.give('user 0', 50 * KB);
    expect(waiting.take('user 0', 50 * KB + 1)).toBe(false);
    expect(waiting.take('user 0', 50 * KB)).toBe(true);
  });

  it('one that is larger than the part of a client finds room while there is some, and no other beside it', () => {
    expect(waiting.take('ada', 600 * KB)).toBe(true);
    expect(waiting.take('ada', 1)).toBe(false);
    expect(waiting.take('bob', 201 * KB)).toBe(false);
    waiting.give('ada', 600 * KB);
    expect(waiting.take('ada', 600 * KB)).toBe(true);
  });

  it('what is there already is counted whether there is room or not', () => {
    waiting.hold('ada', 900 * KB);
    expect(waiting.bytes).toBe(900 * KB);
    expect(waiting.take('ada', 1)).toBe(false);
    waiting.give('ada', 900 * KB);
    expect(waiting.take('ada', 1)).toBe(true);
  });

  it('is empty when all was given back', () => {
    waiting.take('ada', 300);
    waiting.take('bob', 200);
    waiting.give('ada', 300);
    waiting.give('bob', 200);
    expect(waiting.bytes).toBe(0);
    expect(waiting.take('ada', 800 * KB)).toBe(true);
  });

  it('forgets clients that hold nothing once they are many, and none that holds something', () => {
    const each = (act: (client: string) => void) => {
      for (let index = 0; index < 3_000; index++) act(`user ${index}`);
    };
    waiting.hold('ada', 300);
    for (let round = 0; round < 3; round++) {
      each((client) => {
        waiting.hold(client, 10);
        waiting.give(client, 10);
        waiting.give(client, 0);
        waiting.hold(client, 0);
        expect(waiting.size).toBeLessThan(1_100);
      });
      expect(waiting.bytes).toBe(300);
    }
    each((client) => waiting.hold(client, 10));
    // Those that hold nothing were few beside those that do.
    expect(waiting.size).toBeGreaterThanOrEqual(3_001);
    expect(waiting.bytes).toBe(30_300);
    each((client) => waiting.give(client, 10));
    expect(waiting.size).toBeLessThanOrEqual(2 * 1_024);
    expect(waiting.bytes).toBe(300);
    waiting.give('ada', 300);
    expect(waiting.bytes).toBe(0);
    expect(waiting.take('ada', 800 * KB)).toBe(true);
  });

  it('tells whether there is room, and takes nothing by it', () => {
    for (let count = 0; count < 3; count++) expect(waiting.hasRoom('ada', 800 * KB)).toBe(true);
    waiting.hold('ada', 100 * KB);
    expect([
      waiting.hasRoom('ada', 1),
      waiting.hasRoom('bob', 700 * KB),
      waiting.hasRoom('bob', 700 * KB + 1),
    ]).toEqual([false, true, false]);
  });
});
