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
  it('behaves like a list of events with their times, bytes and weights, under any operations', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('push', 'push', 'push', 'shift', 'shift')), (actions) => {
        const kept = new KeptEvents();
        const model: (readonly [ChannelEvent, number, number, number])[] = [];
        actions.forEach((name, index) => {
          if (name === 'push') {
            const row = [eventOf(index), 1_000 + index, 20_000 + index, 300_000 + index] as const;
            kept.push(...row);
            model.push(row);
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
        ]);
        expect(rows).toEqual(model);
        expect([kept.at(-1), kept.at(model.length)]).toEqual([undefined, undefined]);
      }),
    );
  });

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
    expect(kept.length).toBe(0);
  });
});
