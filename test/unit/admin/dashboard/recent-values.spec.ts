import { describe, expect, it } from '@jest/globals';
import { RecentValues } from '../../../../lib/admin/dashboard/recent-values.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

describe('the values of the last second', () => {
  it('are those of the last second that is over, the same for all who ask', () => {
    const clock = new ManualClock();
    const values = new RecentValues(clock);
    for (let value = 1; value <= 200; value++) values.add(value);
    expect(values.high()).toBe(0);
    clock.advance(1_000);
    expect([values.high(), values.high()]).toEqual([198, 198]);
    values.add(7);
    clock.advance(1_000);
    expect(values.high()).toBe(7);
    clock.advance(1_000);
    expect(values.high()).toBe(0);
  });

  it('of one that nobody asked about for long do not count', () => {
    const clock = new ManualClock();
    const values = new RecentValues(clock);
    values.add(9);
    clock.advance(2_000);
    expect(values.high()).toBe(0);
  });

  it('are few, however many are added', () => {
    const clock = new ManualClock();
    const values = new RecentValues(clock);
    for (let value = 1; value <= 100_000; value++) values.add(value);
    expect((values as unknown as { values: number[] }).values.length).toBeLessThanOrEqual(2_048);
    clock.advance(1_000);
    expect(values.high()).toBeGreaterThan(90_000);
  });
});
