import { beforeEach, describe, expect, it } from '@jest/globals';
import { Stalls } from '../../../../lib/core/async/stalls.js';
import { TimerWheel } from '../../../../lib/core/async/timer-wheel.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

const TICK_MS = 100;
let clock: ManualClock;
let stalls: Stalls;
let wheel: TimerWheel;
let ran: number;

beforeEach(() => {
  clock = new ManualClock(0);
  stalls = new Stalls(clock);
  wheel = new TimerWheel(clock, TICK_MS, stalls);
  ran = 0;
});

const schedule = (ms: number): void => void wheel.schedule(ms, { onTimer: () => ran++ });

describe('a process that stood still (G16)', () => {
  it('reads what clients sent in time before its timers run: they wait one tick', () => {
    schedule(200);
    clock.sleep(5_000);
    clock.advance(0);
    expect(ran).toBe(0);
    clock.advance(TICK_MS);
    expect(ran).toBe(1);
  });

  it('one that is always late runs its timers in every other tick', () => {
    for (let index = 0; index < 4; index++) schedule(200);
    schedule(100_000);
    clock.sleep(5_000);
    clock.advance(0);
    clock.sleep(5_000);
    clock.advance(0);
    expect(ran).toBe(4);
  });

  it('a timer that is less than half a second late is no stall', () => {
    schedule(TICK_MS);
    clock.sleep(TICK_MS + 499);
    clock.advance(0);
    expect(ran).toBe(1);
    expect(stalls.since(clock.monotonic())).toBe(clock.monotonic());
  });

  it('is credited from its begin for as long as it lasted, ten seconds at most', () => {
    schedule(100_000);
    clock.sleep(TICK_MS + 4_000);
    clock.advance(0);
    expect(stalls.since(clock.monotonic())).toBe(TICK_MS);
    expect(stalls.since(clock.monotonic() + 3_999)).toBe(TICK_MS);
    expect(stalls.since(clock.monotonic() + 4_000)).toBe(clock.monotonic() + 4_000);
    clock.sleep(60_000);
    clock.advance(0);
    expect(stalls.since(clock.monotonic())).toBe(clock.monotonic() - 10_000);
    expect(stalls.since(clock.monotonic() + 10_000)).toBe(clock.monotonic() + 10_000);
  });
});
