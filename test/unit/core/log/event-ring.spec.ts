import { describe, expect, it } from '@jest/globals';
import { ChannelEvent } from '../../../../lib/core/ports/channel-event.js';
import { EventRing } from '../../../../lib/core/log/event-ring.js';

function event(seq: number, epoch = 'e'): ChannelEvent {
  return new ChannelEvent({
    channel: 'rooms.1',
    seq,
    epoch,
    ts: 0,
    expiresAt: Infinity,
    id: `${epoch}${seq}`,
    event: 'said',
  });
}

function ringOf(capacity: number, first: number, last: number): EventRing {
  const ring = new EventRing(capacity);
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
    expect(covered(new EventRing(4))).toEqual([]);
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
