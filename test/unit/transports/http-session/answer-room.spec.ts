import { describe, expect, it } from '@jest/globals';
import { AnswerRoom } from '../../../../lib/transports/http-session/answer-room.js';

const MIB = 1024 * 1024;

/** The numbers of those that were granted, in turn. */
function open() {
  const room = new AnswerRoom();
  const granted: number[] = [];
  const ask = (id: number, network: string, bytes = MIB): void =>
    room.ask(id, network, bytes, () => granted.push(id));
  return { room, granted, ask };
}

describe('room for answers of other nodes', () => {
  it('is 4 MiB, of which an address has two; what ends makes room for the next', () => {
    const { room, granted, ask } = open();
    for (const id of [1, 2, 3]) ask(id, 'a');
    for (const id of [4, 5]) ask(id, 'b');
    ask(6, 'c');
    expect(granted).toEqual([1, 2, 4, 5]);
    room.leave(4);
    expect(granted).toEqual([1, 2, 4, 5, 6]);
    room.leave(1);
    expect(granted).toEqual([1, 2, 4, 5, 6, 3]);
  });

  it('is given to addresses in turn: who asks for much waits behind nobody but itself', () => {
    const { room, granted, ask } = open();
    ask(0, 'x', 4 * MIB);
    for (const id of [1, 2, 3, 4]) ask(id, 'a');
    ask(5, 'b');
    ask(6, 'c');
    room.leave(0);
    expect(granted).toEqual([0, 1, 5, 6, 2]);
  });

  it('is had by one that is larger, alone, and nothing passes it while it waits', () => {
    const { room, granted, ask } = open();
    ask(1, 'a', 1);
    ask(2, 'b', 8 * MIB);
    ask(3, 'c', 1);
    expect(granted).toEqual([1]);
    room.leave(1);
    expect(granted).toEqual([1, 2]);
    room.leave(2);
    expect(granted).toEqual([1, 2, 3]);
  });

  it('is taken once by each, and given back once, also by what still waits', () => {
    const { room, granted, ask } = open();
    ask(1, 'a', 4 * MIB);
    ask(1, 'a', 4 * MIB);
    ask(2, 'b', 4 * MIB);
    ask(3, 'c', 4 * MIB);
    for (const id of [2, 2, 1, 1, 9]) room.leave(id);
    ask(4, 'd', 1);
    expect(granted).toEqual([1, 3]);
    room.leave(3);
    expect(granted).toEqual([1, 3, 4]);
  });
});
