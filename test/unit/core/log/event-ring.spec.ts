import { describe, expect, it } from '@jest/globals';
import { ChannelEvent } from '../../../../lib/core/ports/channel-event.js';
import { EventRing, RingBudget } from '../../../../lib/core/log/event-ring.js';

function event(seq: number, epoch = 'e'): ChannelEvent {
  return new ChannelEvent({
    channel: 'rooms.1',
    seq,
    epoch,
    ts: 0,
    expiresAt: Infinity,
    // Of one length: all events are of one size.
    id: `${epoch}${String(seq).padStart(5, '0')}`,
    event: 'said',
  });
}

function ringOf(capacity: number, first: number, last: number): EventRing {
  const ring = new EventRing(capacity, Infinity, new RingBudget(Infinity));
  for (let seq = first; seq <= last; seq++) ring.push(event(seq));
  return ring;
}

/** Every `seq` from 0 to 20 that the ring says it covers, each of which it must have. */
function covered(ring: EventRing): number[] {
  const seqs = Array.from({ length: 21 }, (_, seq) => seq).filter((seq) => ring.covers(seq));
  expect(seqs.map((seq) => ring.at(seq).seq)).toEqual(seqs);
  return seqs;
}

describe('the ring of the newest events', () => {
  it('holds nothing while it is empty', () => {
    expect(covered(new EventRing(4, Infinity, new RingBudget(Infinity)))).toEqual([]);
  });

  it.each([
    ['one event', 4, 1, 1, [1]],
    ['one less than fits', 4, 1, 3, [1, 2, 3]],
    ['exactly what fits', 4, 1, 4, [1, 2, 3, 4]],
    ['one more than fits', 4, 1, 5, [2, 3, 4, 5]],
    ['twice what fits', 4, 1, 8, [5, 6, 7, 8]],
    ['twice what fits and one more', 4, 1, 9, [6, 7, 8, 9]],
    ['a log that it did not see from the start', 4, 7, 9, [7, 8, 9]],
    ['room for a single one', 1, 1, 3, [3]],
  ] as const)('holds the newest events without a gap: %s (G8)', (_what, capacity, first, last, expected) => {
    expect(covered(ringOf(capacity, first, last))).toEqual(expected);
  });

  it.each([
    ['a later', 8, [8]],
    ['the same', 3, [3]],
    ['an earlier', 2, [2]],
  ] as const)('starts again with %s event that does not follow the last', (_what, seq, expected) => {
    const ring = ringOf(4, 1, 3);
    ring.push(event(seq));
    expect(covered(ring)).toEqual(expected);
    ring.push(event(seq + 1));
    expect(covered(ring)).toEqual([...expected, seq + 1]);
  });

  it('holds nothing after it was cleared, and then only later events', () => {
    const ring = ringOf(4, 1, 4);
    ring.clear();
    expect(covered(ring)).toEqual([]);
    ring.push(event(5, 'other'));
    expect(covered(ring)).toEqual([5]);
    expect(ring.at(5).epoch).toBe('other');
  });

  it('continues at any position of another log after it was cleared', () => {
    const ring = ringOf(4, 1, 6);
    ring.clear();
    for (const seq of [3, 4, 5]) ring.push(event(seq, 'other'));
    expect(covered(ring)).toEqual([3, 4, 5]);
    expect([3, 4, 5].map((seq) => ring.at(seq).epoch)).toEqual(['other', 'other', 'other']);
  });
});

describe('the rings of all channels of a node', () => {
  const { size } = event(1);

  /** Rings of a budget of so many events. */
  function ringsOf(events: number, count: number): { budget: RingBudget; rings: EventRing[] } {
    const budget = new RingBudget(events * size);
    return {
      budget,
      rings: Array.from({ length: count }, () => new EventRing(100, Infinity, budget)),
    };
  }

  function fill(ring: EventRing | undefined, first: number, last: number): void {
    for (let seq = first; seq <= last; seq++) ring?.push(event(seq));
  }

  it('the one to which nothing was added for longest gives up all but its newest event first', () => {
    const { budget, rings } = ringsOf(12, 3);
    const [cold, warm, hot] = rings as [EventRing, EventRing, EventRing];
    fill(cold, 1, 4);
    fill(warm, 1, 4);
    fill(hot, 1, 4);
    fill(hot, 5, 6);
    expect(rings.map(covered)).toEqual([
      [3, 4],
      [1, 2, 3, 4],
      [1, 2, 3, 4, 5, 6],
    ]);
    fill(hot, 7, 8);
    expect(rings.map(covered)).toEqual([[4], [2, 3, 4], [1, 2, 3, 4, 5, 6, 7, 8]]);
    fill(hot, 9, 15);
    expect(rings.map(covered)).toEqual([[4], [4], [6, 7, 8, 9, 10, 11, 12, 13, 14, 15]]);
    expect(budget.bytes).toBe(12 * size);
  });

  it('one that is added to again is no longer the coldest', () => {
    const { rings } = ringsOf(8, 3);
    const [first, second, third] = rings as [EventRing, EventRing, EventRing];
    fill(first, 1, 3);
    fill(second, 1, 3);
    fill(first, 4, 4);
    fill(third, 1, 3);
    expect(rings.map(covered)).toEqual([[1, 2, 3, 4], [3], [1, 2, 3]]);
    fill(second, 4, 6);
    expect(rings.map(covered)).toEqual([[4], [3, 4, 5, 6], [1, 2, 3]]);
  });

  it('a first event takes room from others as well', () => {
    const { budget, rings } = ringsOf(4, 2);
    fill(rings[0], 1, 4);
    fill(rings[1], 1, 1);
    expect(rings.map(covered)).toEqual([[2, 3, 4], [1]]);
    expect(budget.bytes).toBe(4 * size);
  });

  it('a single ring is bounded by it too, and keeps its newest event', () => {
    const { budget, rings } = ringsOf(2, 1);
    fill(rings[0], 1, 9);
    expect(rings.map(covered)).toEqual([[8, 9]]);
    const none = ringsOf(0, 2);
    for (const ring of none.rings) fill(ring, 1, 3);
    expect(none.rings.map(covered)).toEqual([[3], [3]]);
    expect(budget.bytes).toBe(2 * size);
  });

  it('one that is cleared holds nothing, and may be filled again', () => {
    const { budget, rings } = ringsOf(6, 3);
    const [first, second, third] = rings as [EventRing, EventRing, EventRing];
    for (let round = 0; round < 2; round++) {
      fill(first, 1, 2);
      fill(second, 1, 2);
      fill(third, 1, 2);
      for (const ring of [second, first, third]) ring.clear();
      expect(budget.bytes).toBe(0);
      expect(rings.map(covered)).toEqual([[], [], []]);
    }
    fill(third, 1, 4);
    fill(first, 1, 4);
    expect(rings.map(covered)).toEqual([[1, 2, 3, 4], [], [3, 4]]);
  });

  it('have the order of a list that is written out, whatever is done to them', () => {
    const { budget, rings } = ringsOf(15, 5);
    const model = rings.map((ring) => ({ ring, seqs: [] as number[] }));
    let order: typeof model = [];
    let state = 1;
    const random = (below: number): number => (state = (state * 48_271) % 2_147_483_647) % below;
    for (let step = 0; step < 1_000; step++) {
      const one = model[random(5)] as (typeof model)[number];
      if (random(12) === 0) {
        one.ring.clear();
        one.seqs = [];
      } else {
        const seq = (one.seqs.at(-1) ?? 0) + 1;
        one.ring.push(event(seq));
        one.seqs.push(seq);
        order = [...order.filter((other) => other !== one), one];
        const total = (): number => model.reduce((sum, { seqs }) => sum + seqs.length, 0);
        for (const { seqs } of order) while (total() > 15 && seqs.length > 1) seqs.shift();
      }
      for (const { ring, seqs } of model) {
        const held = seqs.length === 0 ? [] : [seqs[0], seqs.at(-1)];
        for (const seq of held) expect(ring.covers(seq as number)).toBe(true);
        if (seqs.length > 0) expect(ring.covers((seqs[0] as number) - 1)).toBe(false);
      }
      expect(budget.bytes).toBe(model.reduce((sum, { seqs }) => sum + seqs.length, 0) * size);
    }
  });
});
