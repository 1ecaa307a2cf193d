import { describe, expect, it } from '@jest/globals';
import { bytes, count, duration, rate, words } from '../../../../lib/admin/dashboard/page/format.js';
import { Samples } from '../../../../lib/admin/dashboard/page/samples.js';

const at = 1_700_000_000_000;

describe('the moments that the dashboard keeps', () => {
  it('have the growth of each counter a second, node by node', () => {
    const samples = new Samples();
    samples.add(at, [{ node: 'a', readings: { delivered_total: 100, sessions: 5 } }], []);
    expect(samples.last?.rates.size).toBe(0);
    samples.add(
      at + 2_000,
      [
        { node: 'a', readings: { delivered_total: 140, sessions: 7 } },
        // New: what it counted before it was seen is no growth.
        { node: 'b', readings: { delivered_total: 1_000_000 } },
      ],
      [],
    );
    expect(samples.last && Samples.rateOf(samples.last, 'delivered_total')).toBe(20);
    expect(samples.last?.rates.has('sessions')).toBe(false);
    // Began again: it counts from 0, which is no loss either.
    samples.add(
      at + 3_000,
      [
        { node: 'a', readings: { delivered_total: 3 } },
        { node: 'b', readings: { delivered_total: 1_000_010 } },
      ],
      [],
    );
    expect(samples.last && Samples.rateOf(samples.last, 'delivered_total')).toBe(10);
  });

  it('are in the order of their time, and at most five minutes', () => {
    const samples = new Samples();
    let changes = 0;
    const end = samples.onChange(() => changes++);
    for (let second = 0; second < 400; second++) samples.add(at + second * 1_000, [], []);
    samples.add(at + 399_000, [], []);
    samples.add(at + 398_500, [], []);
    expect([samples.all.length, samples.all[0]?.at, changes]).toEqual([300, (at + 100_000) / 1_000, 400]);
    end();
    samples.add(at + 500_000, [], []);
    expect(changes).toBe(400);
  });

  it('sum up what grew, the most first, and leave out what did not', () => {
    const samples = new Samples();
    const add = (seconds: number, slow: number, kicked: number) =>
      samples.add(
        at + seconds * 1_000,
        [
          {
            node: 'a',
            readings: { 'closed:slow_consumer': slow, 'closed:kicked': kicked, 'closed:going_away': 4 },
          },
        ],
        [],
      );
    add(0, 10, 1);
    add(1, 12, 1);
    add(3, 12, 7);
    expect(samples.grown('closed')).toEqual([
      ['kicked', 6],
      ['slow_consumer', 2],
    ]);
    const { last } = samples;
    expect(last && [Samples.sum(last, 'closed:kicked'), Samples.most(last, 'closed:kicked')]).toEqual([7, 7]);
  });
});

describe('numbers of the dashboard', () => {
  it.each([
    [count(1_234), '1,234'],
    [count(1_500_000), '1.5M'],
    [rate(0), '0/s'],
    [rate(0.25), '0.3/s'],
    [rate(1_200), '1,200/s'],
    [bytes(0), '0 B'],
    [bytes(1_023), '1023 B'],
    [bytes(1_024), '1.0 KiB'],
    [bytes(5 * 1_024 ** 3), '5.0 GiB'],
    [duration(999), '999 ms'],
    [duration(1_000), '1 s'],
    [duration(119_000), '119 s'],
    [duration(7_100_000), '118 min'],
    [duration(86_400_000 * 3), '3 days'],
    [words('hello.too_many_connections'), 'hello: too many connections'],
  ])('are short: %s', (shown, expected) => {
    expect(shown).toBe(expected);
  });
});
