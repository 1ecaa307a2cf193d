import { describe, expect, it } from '@jest/globals';
import { RingBuffer } from '../../../../lib/brokers/memory/ring.js';
import fc from '../../../support/property.js';

describe('RingBuffer', () => {
  it('behaves like an array under any operations', () => {
    const action = fc.constantFrom('push', 'push', 'push', 'shift', 'shift');
    fc.assert(
      fc.property(fc.array(action, { maxLength: 400 }), (actions) => {
        const ring = new RingBuffer<number>();
        const model: number[] = [];
        actions.forEach((name, index) => {
          if (name === 'push') {
            ring.push(index);
            model.push(index);
          } else {
            expect(ring.shift()).toBe(model.shift());
          }
          expect(ring.length).toBe(model.length);
        });
        expect(model.map((_, index) => ring.at(index))).toEqual(model);
        expect([ring.at(-1), ring.at(model.length)]).toEqual([undefined, undefined]);
      }),
    );
  });

  it('stays small when items come and go, and frees what a burst needed', () => {
    const ring = new RingBuffer<number>();
    const capacity = () => (ring as unknown as { slots: unknown[] }).slots.length;
    for (let index = 0; index < 1_000; index += 1) {
      ring.push(index);
      if (ring.length > 5) ring.shift();
    }
    expect(capacity()).toBeLessThanOrEqual(8);
    for (let index = 0; index < 10_000; index += 1) ring.push(index);
    while (ring.length > 5) ring.shift();
    expect(capacity()).toBeLessThanOrEqual(32);
  });

  it('releases removed items', () => {
    const ring = new RingBuffer<object>();
    for (let index = 0; index < 6; index += 1) ring.push({});
    ring.shift();
    ring.shift();
    const kept = (ring as unknown as { slots: unknown[] }).slots.filter((slot) => slot !== undefined);
    expect(kept).toHaveLength(4);
  });
});
