import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { measureSlowness, slowness, slownessOf } from '../../scripts/slowness.mjs';
import { patience, stretched } from '../support/patience.js';

const given = (value: string | undefined) => slowness(value === undefined ? {} : { TEST_SLOWNESS: value });

describe('the measured slowness of the machine', () => {
  it.each([
    [undefined, 1],
    ['', 1],
    ['1', 1],
    ['4', 4],
    ['1.5', 1.5],
  ])('TEST_SLOWNESS=%j counts as %d', (value, expected) => {
    expect(given(value)).toBe(expected);
  });

  it.each(['0.5', '0', '-2', 'abc', 'NaN', 'Infinity', '4x'])('TEST_SLOWNESS=%s is refused', (value) => {
    expect(() => given(value)).toThrow(
      `TEST_SLOWNESS must be a number of at least 1, and finite, not "${value}"`,
    );
  });

  it.each([
    [1, 1],
    [60, 1],
    [150, 2.5],
    [720, 12],
    [100_000, 12],
  ])('a sample of %d ms gives a slowness of %d', (ms, expected) => {
    expect(slownessOf(ms)).toBe(expected);
  });

  it('is between 1 and 12, with one decimal', async () => {
    const measured = await measureSlowness();
    expect(measured).toBeGreaterThanOrEqual(1);
    expect(measured).toBeLessThanOrEqual(12);
    expect(measured * 10).toBeCloseTo(Math.round(measured * 10), 6);
  });
});

describe('time limits of tests', () => {
  const before = process.env['TEST_SLOWNESS'];
  beforeEach(() => {
    delete process.env['TEST_SLOWNESS'];
  });
  afterEach(() => {
    if (before === undefined) delete process.env['TEST_SLOWNESS'];
    else process.env['TEST_SLOWNESS'] = before;
  });

  it('`patience` is three times the idle time, times the slowness, in whole milliseconds', () => {
    expect(patience(1_000)).toBe(3_000);
    process.env['TEST_SLOWNESS'] = '4';
    expect(patience(1_000)).toBe(12_000);
    process.env['TEST_SLOWNESS'] = '1.05';
    expect(patience(1)).toBe(4);
  });

  it('`stretched` is the time, times the slowness, without a margin', () => {
    expect(stretched(1_000)).toBe(1_000);
    process.env['TEST_SLOWNESS'] = '4';
    expect(stretched(1_000)).toBe(4_000);
    process.env['TEST_SLOWNESS'] = '1.05';
    expect(stretched(1)).toBe(2);
  });
});
