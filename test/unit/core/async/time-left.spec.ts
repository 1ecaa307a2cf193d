import { beforeEach, describe, expect, it } from '@jest/globals';
import { TimeLeft } from '../../../../lib/core/async/time-left.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';

let clock: ManualClock;
beforeEach(() => {
  clock = new ManualClock();
});

describe('the time that is left', () => {
  it('ends at one moment, whatever the wall clock does, and is never negative', () => {
    const time = new TimeLeft(clock, 10_000);
    clock.advance(4_000);
    expect(time.ms).toBe(6_000);
    clock.advance(5_999);
    expect(time.ms).toBe(1);
    clock.advance(60_000);
    expect(time.ms).toBe(0);
  });

  it.each([
    ['all of it', {}, 6_000],
    ['at most what it may take', { mostMs: 2_000 }, 2_000],
    ['what is not kept for others', { keepMs: 5_000 }, 1_000],
    ['at most what it may take of what is not kept', { mostMs: 500, keepMs: 5_000 }, 500],
    ['nothing where all is kept', { keepMs: 7_000 }, 0],
    ['its least where all is kept', { keepMs: 7_000, leastMs: 1_000 }, 1_000],
  ])('is shared: %s', (_, share, ms) => {
    const time = new TimeLeft(clock, 10_000);
    clock.advance(4_000);
    expect(time.share(share).ms).toBe(ms);
    expect(time.ms).toBe(6_000);
  });

  it('gives a part its least once it is over', () => {
    const time = new TimeLeft(clock, 100);
    clock.advance(200);
    const part = time.share({ leastMs: 1_000 });
    clock.advance(400);
    expect(part.ms).toBe(600);
  });

  it('waits for work that ends in time, and leaves no timer', async () => {
    await expect(new TimeLeft(clock, 100).wait(Promise.resolve(7))).resolves.toBe(true);
    const failing = Promise.reject(new Error('broken'));
    await expect(new TimeLeft(clock, 100).wait(failing)).rejects.toThrow('broken');
    expect(clock.pending).toBe(0);
  });

  it('waits no longer than there is time, and ignores how the work ends then', async () => {
    const time = new TimeLeft(clock, 100);
    clock.advance(40);
    let fail: (error: Error) => void = () => undefined;
    let ended: boolean | undefined;
    void time.wait(new Promise((_, reject) => (fail = reject))).then((value) => (ended = value));
    await clock.advanceAsync(59);
    expect(ended).toBeUndefined();
    await clock.advanceAsync(1);
    expect(ended).toBe(false);
    fail(new Error('late'));
    await settle();
  });
});
