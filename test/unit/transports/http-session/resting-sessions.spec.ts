import { describe, expect, it } from '@jest/globals';
import { RestingSessions } from '../../../../lib/transports/http-session/resting-sessions.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

describe('sessions that are not read from', () => {
  it('rest for a second, and again from the last time', () => {
    const clock = new ManualClock();
    const resting = new RestingSessions(clock);
    expect(resting.isResting('a')).toBe(false);
    resting.rest('a');
    clock.advance(600);
    resting.rest('b');
    resting.rest('a');
    clock.advance(999);
    expect(['a', 'b', 'c'].map((id) => resting.isResting(id))).toEqual([true, true, false]);
    clock.advance(1);
    expect(['a', 'b'].map((id) => resting.isResting(id))).toEqual([false, false]);
  });

  it('are at most 10,000: the oldest is forgotten', () => {
    const resting = new RestingSessions(new ManualClock());
    for (let number = 0; number <= 10_000; number += 1) resting.rest(`s${number}`);
    expect(resting.isResting('s0')).toBe(false);
    expect(resting.isResting('s1')).toBe(true);
    expect(resting.isResting('s10000')).toBe(true);
  });
});
