import { describe, expect, it } from '@jest/globals';
import { ChannelNames } from '../../../../lib/core/access/channel-names.js';

const WINDOW_MS = 10_000;

function admitted(names: ChannelNames, from: number, to: number, now: number, client = 'user ada'): number {
  let count = 0;
  for (let index = from; index < to; index++) {
    const refusal = names.refusal(client, `rooms.${index}`, now);
    if (refusal === undefined) {
      names.use(client, `rooms.${index}`, now);
      count++;
      continue;
    }
    expect(refusal).toMatchObject({ code: 'rate_limited', retryable: true });
    // Who uses it nevertheless gets the same answer, and it is not counted.
    expect(names.use(client, `rooms.${index}`, now)).toEqual(refusal);
    expect(refusal.retryAfterMs).toBeGreaterThan(0);
    expect(refusal.retryAfterMs).toBeLessThanOrEqual(WINDOW_MS / 2);
  }
  return count;
}

describe('the different channels that a client names', () => {
  const make = (max: number): ChannelNames => new ChannelNames({ max, windowMs: WINDOW_MS, secret: 's' });

  it.each([1, 15, 16, 17, 64, 5_000])('are %i and not one more, and known ones pass', (max) => {
    const names = make(max);
    expect(admitted(names, 0, max, 0)).toBe(max);
    expect(admitted(names, max, max + 20, 0)).toBe(0);
    expect(admitted(names, 0, max, 0)).toBe(max);
    expect(admitted(names, 0, 1, 0, 'user eve')).toBe(1);
  });

  it('count once, also when they are used in both halves of the window', () => {
    const names = make(10);
    expect(admitted(names, 0, 5, 0)).toBe(5);
    expect(admitted(names, 0, 5, WINDOW_MS / 2)).toBe(5);
    expect(admitted(names, 5, 20, WINDOW_MS / 2)).toBe(5);
    // A second time: the first five were used last in the half that is older now.
    expect(admitted(names, 0, 10, WINDOW_MS)).toBe(10);
    expect(admitted(names, 20, 30, WINDOW_MS)).toBe(0);
  });

  it('are forgotten after the window, those in use last', () => {
    const names = make(10);
    expect(admitted(names, 0, 10, 0)).toBe(10);
    expect(admitted(names, 0, 2, WINDOW_MS / 2)).toBe(2);
    expect(admitted(names, 10, 20, WINDOW_MS / 2)).toBe(0);
    // The eight that were not used again are gone.
    expect(admitted(names, 10, 30, WINDOW_MS)).toBe(8);
    expect(admitted(names, 0, 2, WINDOW_MS)).toBe(2);
    expect(admitted(names, 100, 200, 3 * WINDOW_MS)).toBe(10);
  });

  it('are not counted by the question', () => {
    const names = make(1);
    for (let index = 0; index < 10; index++)
      expect(names.refusal('user ada', `rooms.${index}`, 0)).toBeUndefined();
    expect(names.size).toBe(0);
    names.use('user ada', 'rooms.1', 0);
    expect(names.refusal('user ada', 'rooms.1', 0)).toBeUndefined();
    expect(names.refusal('user ada', 'rooms.2', 0)).toMatchObject({ retryAfterMs: WINDOW_MS / 2 });
    // The question alone moves the window.
    expect(names.refusal('user ada', 'rooms.2', WINDOW_MS)).toBeUndefined();
  });

  it('of clients that are gone are forgotten', () => {
    const names = make(10);
    for (let client = 0; client < 1_000; client++)
      admitted(names, 0, 1, client * WINDOW_MS, `user ${client}`);
    expect(names.size).toBeLessThanOrEqual(256);
  });

  it('of all clients are a bounded number: the first are forgotten', () => {
    const names = make(400_000);
    for (const client of ['a', 'b', 'c'])
      for (let index = 0; index < 400_000; index++) names.use(client, `r.${index}`, 0);
    expect(names.size).toBe(2);
  });
});
