import { describe, expect, it } from '@jest/globals';
import { thinOut, type Missing } from '../../../../lib/core/hub/thinned-events.js';
import { ChannelEvent } from '../../../../lib/core/ports/channel-event.js';

const PLACE = { channel: 'prices.1', epoch: 'e', ts: 1 };
const event = (seq: number, key?: string, size = 1): ChannelEvent =>
  new ChannelEvent({
    ...{ ...PLACE, seq, expiresAt: Infinity, id: `i${seq}`, event: 'set', payload: 'x'.repeat(size) },
    ...(key === undefined ? {} : { key }),
  });
const MOST = { events: 100, bytes: 1_000_000 };

function thinned(events: readonly ChannelEvent[], missing?: Missing, most = MOST) {
  const result = thinOut(events, missing, most);
  return [result.events.map(({ seq }) => seq), result.missing];
}

describe('events that are thinned out (P34c)', () => {
  it('the newest of each key and the newest without one stay, in order', () => {
    const events = [event(5, 'a'), event(6), event(7, 'b'), event(8, 'a'), event(9), event(10, 'c')];
    expect(thinned(events)).toEqual([[7, 8, 9, 10], { from: 5, to: 6, count: 2 }]);
  });

  it('nothing is missing of events that all stay, a single one for example', () => {
    expect(thinned([event(5)])).toEqual([[5], undefined]);
    expect(thinned([event(5, 'a'), event(6, 'b'), event(7)])).toEqual([[5, 6, 7], undefined]);
  });

  it('what was left out before is part of the range', () => {
    expect(thinned([event(8), event(9)], { from: 3, to: 6, count: 4 })).toEqual([
      [9],
      { from: 3, to: 8, count: 5 },
    ]);
    expect(thinned([event(9)], { from: 3, to: 6, count: 4 })).toEqual([[9], { from: 3, to: 6, count: 4 }]);
  });

  it('what says that events were erased stays beside the newest (P31)', () => {
    const events = [
      ChannelEvent.erased({ ...PLACE, seq: 1 }),
      event(2),
      ChannelEvent.erased({ ...PLACE, seq: 3 }),
    ];
    expect(thinned([...events, event(4)])).toEqual([[1, 3, 4], { from: 2, to: 2, count: 1 }]);
  });

  it.each([
    ['events', { events: 2, bytes: 1_000_000 }],
    ['bytes', { events: 100, bytes: 2 * event(1, 'a', 1_000).size }],
  ])('the newest stay where there are more %s than fit', (_, most) => {
    const events = ['a', 'b', 'c', 'd'].map((key, index) => event(index + 1, key, 1_000));
    expect(thinned(events, undefined, most)).toEqual([[3, 4], { from: 1, to: 2, count: 2 }]);
  });

  it('the last one stays however large it is', () => {
    expect(thinned([event(1, 'a'), event(2, 'b', 10_000)], undefined, { events: 9, bytes: 100 })).toEqual([
      [2],
      { from: 1, to: 1, count: 1 },
    ]);
  });
});
