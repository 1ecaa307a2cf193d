import { describe, expect, it } from '@jest/globals';
import { durationMs, toMilliseconds } from '../../../../lib/nest/options/duration.js';

describe('durations', () => {
  it.each([
    [0, 0],
    [1.4, 1],
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5h', 5_400_000],
    ['5m', 300_000],
    ['1d', 86_400_000],
  ])('%p is %p ms', (given, expected) => {
    expect(toMilliseconds(given)).toBe(expected);
  });

  it.each([
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    '',
    '5',
    '5 m',
    '-5m',
    '5M',
    '1e3s',
    '9999999999999999d',
    null,
    {},
  ])('%p is not a duration', (given) => {
    expect(toMilliseconds(given)).toBeUndefined();
  });

  it('durations in application code are above zero', () => {
    expect(durationMs('1s', 'x')).toBe(1_000);
    expect(() => durationMs(0, 'publish: ttl')).toThrow(
      'publish: ttl: shorter than a millisecond. Give at least 1, or leave it out.',
    );
  });

  it('an invalid duration is refused with the place and the remedy', () => {
    expect(() => durationMs('soon', 'ban: for')).toThrow(
      'ban: for: not a duration. Write milliseconds or a number with a unit: 500, "500ms", "30s", "5m", "1h", "1d".',
    );
  });
});
