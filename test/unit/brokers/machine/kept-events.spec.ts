import { describe, expect, it } from '@jest/globals';
import { KeptEvents } from '../../../../lib/brokers/machine/kept-events.js';
import { ChannelEvent } from '../../../../lib/core/ports/channel-event.js';
import fc from '../../../support/property.js';

const eventOf = (seq: number) =>
  new ChannelEvent(
    { channel: 'a', seq, epoch: 'e', ts: 0, expiresAt: Infinity, id: `i${seq}`, event: 'm' },
    10,
  );

const capacityOf = (kept: KeptEvents) => (kept as unknown as { slots: readonly unknown[] }).slots.length / 4;

describe('KeptEvents', () => {
  it.each([0, 7])(
    'behaves like a list of events with their numbers, under any operations (places from %i)',
    (from) => {
      fc.assert(
        fc.property(fc.array(fc.constantFrom('push', 'push', 'push', 'shift', 'shift', 'pop')), (actions) => {
          const kept = new KeptEvents();
          const model: (readonly [ChannelEvent, number, number, number, number])[] = [];
          actions.forEach((name, index) => {
            if (name === 'push') {
              const place = from === 0 ? 0 : from + index;
              const row = [eventOf(index), 1_000 + index, 20_000 + index, 300_000 + index, place] as const;
              kept.push(...row);
              model.push(row);
            } else if (name === 'pop') {
              kept.pop();
              model.pop();
            } else {
              kept.shift();
              model.shift();
            }
            expect(kept.length).toBe(model.length);
          });
          const rows = model.map((_, index) => [
            kept.at(index),
            kept.appendedAt(index),
            kept.bytes(index),
            kept.weight(index),
            kept.placeInLog(index),
          ]);
          expect(rows).toEqual(model);
          expect([kept.at(-1), kept.at(model.length)]).toEqual([undefined, undefined]);
        }),
      );
    },
  );

  it('stays small when events come and go, and frees what a burst needed', () => {
    const kept = new KeptEvents();
    expect(capacityOf(kept)).toBe(0);
    for (let index = 0; index < 100; index += 1) {
      kept.push(eventOf(index), 0, 0, 0);
      if (kept.length > 3) kept.shift();
    }
    expect(capacityOf(kept)).toBe(4);
    for (let index = 0; index < 1_000; index += 1) kept.push(eventOf(index), 0, 0, 0);
    expect(capacityOf(kept)).toBe(1_024);
    while (kept.length > 1) kept.shift();
    expect(capacityOf(kept)).toBeLessThanOrEqual(8);
    expect(kept.at(0)?.seq).toBe(999);
  });

  it('holds on to no event that was removed', () => {
    const kept = new KeptEvents();
    for (let index = 0; index < 4; index += 1) kept.push(eventOf(index), 0, 0, 0);
    for (let index = 0; index < 4; index += 1) kept.shift();
    const { slots } = kept as unknown as { slots: readonly unknown[] };
    expect(slots.filter((slot) => slot instanceof ChannelEvent)).toEqual([]);
    kept.shift();
    kept.pop();
    expect(kept.length).toBe(0);
    for (let index = 0; index < 4; index += 1) kept.push(eventOf(index), 0, 0, 0);
    for (let index = 0; index < 4; index += 1) kept.pop();
    expect(slots.filter((slot) => slot instanceof ChannelEvent)).toEqual([]);
  });

  it('takes a missing event in its place once, and nothing in the place of one that is there', () => {
    const kept = new KeptEvents();
    kept.push(eventOf(1), 0, 0, 0, 10);
    kept.push(undefined, 0, 0, 0, 11);
    expect([-1, 0, 2].map((index) => kept.fill(index, eventOf(9)))).toEqual([false, false, false]);
    expect([kept.fill(1, eventOf(2)), kept.fill(1, eventOf(3))]).toEqual([true, false]);
    expect([kept.at(0)?.seq, kept.at(1)?.seq]).toEqual([1, 2]);
  });
});
