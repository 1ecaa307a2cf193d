import { beforeEach, describe, expect, it } from '@jest/globals';
import { UnknownIds } from '../../../../lib/transports/http-session/unknown-ids.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

describe('ids that no node knows', () => {
  let clock: ManualClock;
  let ids: UnknownIds;
  const guess = (count: number, network = 'a'): void => {
    for (let number = 0; number < count; number += 1) ids.noteUnknown(`guess${number}`, network);
  };

  beforeEach(() => {
    clock = new ManualClock();
    ids = new UnknownIds(clock);
  });

  it('are asked for 200 times in ten seconds by an address, and by the others as before', () => {
    guess(199);
    expect(ids.mayAsk('x', 'a')).toBe(true);
    guess(1);
    expect(ids.mayAsk('x', 'a')).toBe(false);
    expect(ids.mayAsk('x', 'b')).toBe(true);
    clock.advance(9_999);
    expect(ids.mayAsk('x', 'a')).toBe(false);
    clock.advance(1);
    expect(ids.mayAsk('x', 'a')).toBe(true);
    guess(200);
    expect(ids.mayAsk('x', 'a')).toBe(false);
  });

  it('do not hold up sessions at the same address that their nodes knew', () => {
    ids.noteKnown('mine');
    guess(500);
    expect(ids.mayAsk('mine', 'a')).toBe(true);
    // It has ended: from then on it is one as any other, and was no guess.
    ids.noteUnknown('mine', 'b');
    expect(ids.mayAsk('mine', 'a')).toBe(false);
    guess(199, 'b');
    expect(ids.mayAsk('x', 'b')).toBe(true);
  });

  it('are counted for 10,000 addresses, and sessions known for 20,000: the oldest are forgotten', () => {
    guess(200, 'first');
    guess(200, 'second');
    for (let number = 0; number < 9_999; number += 1) ids.noteUnknown('x', `a${number}`);
    expect(ids.mayAsk('x', 'first')).toBe(true);
    expect(ids.mayAsk('x', 'second')).toBe(false);
    for (let number = 0; number <= 20_000; number += 1) ids.noteKnown(`s${number}`);
    expect(ids.mayAsk('s0', 'second')).toBe(false);
    expect(ids.mayAsk('s1', 'second')).toBe(true);
  });
});
