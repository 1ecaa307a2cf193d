import { describe, expect, it } from '@jest/globals';
import { Erasures } from '../../../../lib/core/log/erasures.js';
import type { ChannelEvent } from '../../../../lib/core/ports/channel-event.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

const MINUTES = 60_000;

function erasures(maxEvents?: number, maxBytes?: number) {
  const clock = new ManualClock();
  const warnings: string[] = [];
  const journal = { warn: (_kind: string, text: () => string) => void warnings.push(text()) };
  return { clock, warnings, known: new Erasures(clock, journal, maxEvents, maxBytes) };
}

const places = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe('what a node remembers of erasures (G29)', () => {
  it('takes no more bytes than it may, however few the events: the oldest are forgotten first, and that is logged', () => {
    const { known, warnings } = erasures(undefined, 10_000);
    const name = `rooms.${'x'.repeat(150)}`;
    for (let index = 0; index < 100; index++) known.record(`${name}${index}`, ['e'], [1]);
    expect(known.bytes).toBeLessThanOrEqual(10_000);
    expect(known.size).toBeGreaterThan(8);
    expect(warnings[0]).toContain('10000 bytes');
    const marked = known.mark;
    known.record(`${name}99`, ['e'], [2]);
    expect(known.hasSince(`${name}99`, marked)).toBe(true);
  });

  it('keeps the newest, however large it is, and counts its places', () => {
    const { known } = erasures(10, 1_000);
    known.record('a', ['e'], [1]);
    const one = known.bytes;
    known.record('b', ['e'], places(1_000));
    expect(known.size).toBe(1_000);
    known.record('c', ['e'], places(2));
    expect([known.size, known.bytes]).toEqual([2, one + 96]);
  });

  it('is given back when it has been remembered for five minutes', () => {
    const { known, clock } = erasures();
    known.record('a', ['e'], places(500));
    clock.advance(5 * MINUTES);
    known.record('b', ['e'], [1]);
    expect(known.size).toBe(1);
    const one = known.bytes;
    clock.advance(5 * MINUTES);
    known.record('b', ['e'], [1]);
    expect(known.bytes).toBe(one);
  });

  it('covers a place that was erased twice for as long as the second time is remembered, in each of its epochs', () => {
    const { known, clock } = erasures();
    const at = (seq: number, epoch: string) =>
      ({ channel: 'a', seq, epoch, isErased: false }) as ChannelEvent;
    known.record('a', ['e', 'f'], [1, 2]);
    clock.advance(3 * MINUTES);
    known.record('a', ['e'], [2]);
    expect(
      [at(1, 'e'), at(2, 'e'), at(1, 'f'), at(3, 'e'), at(1, 'g')].map((event) => known.covers(event)),
    ).toEqual([true, true, true, false, false]);
    clock.advance(2 * MINUTES);
    known.record('b', ['e'], [1]);
    expect([at(1, 'e'), at(2, 'e'), at(2, 'f')].map((event) => known.covers(event))).toEqual([
      false,
      true,
      false,
    ]);
    expect(known.covers({ ...at(2, 'e'), isErased: true } as ChannelEvent)).toBe(false);
  });

  it('tells what was made before an erasure of its channel from what was made after it', () => {
    const { known } = erasures();
    const first = known.mark;
    expect(known.hasSince('a', first)).toBe(false);
    known.record('a', ['e'], [1]);
    const second = known.mark;
    expect([known.hasSince('a', first), known.hasSince('a', second)]).toEqual([true, false]);
    known.record('b', ['e'], [1]);
    expect([known.hasSince('a', second), known.hasSince('b', second)]).toEqual([false, true]);
    known.record('a', ['e'], [2]);
    expect(known.hasSince('a', second)).toBe(true);
  });

  it('counts what is no longer remembered as erased since', () => {
    const { known, clock } = erasures();
    const before = known.mark;
    known.record('a', ['e'], [1]);
    const after = known.mark;
    clock.advance(5 * MINUTES);
    known.record('b', ['e'], [1]);
    expect([known.hasSince('a', before), known.hasSince('c', before)]).toEqual([true, true]);
    expect(known.hasSince('a', after)).toBe(false);
  });
});
