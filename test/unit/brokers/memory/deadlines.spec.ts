import { describe, expect, it } from '@jest/globals';
import { Deadlines, type Expiring } from '../../../../lib/brokers/memory/deadlines.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

interface Item extends Expiring {
  readonly name: number;
}

/** Deadlines are those of a clock that does not jump by itself. */
class SteadyClock extends ManualClock {
  protected override jumpAbout(): void {
    // Stays.
  }
}

function setUp() {
  const clock = new SteadyClock(0);
  const ended: { readonly name: number; readonly at: number }[] = [];
  const deadlines = new Deadlines<Item>(clock, () => {
    for (const { name } of deadlines.take(clock.now())) ended.push({ name, at: clock.now() });
  });
  deadlines.start();
  const item = (name: number, until: number): Item => {
    const made = { name, until, queuedAt: Infinity };
    deadlines.track(made);
    return made;
  };
  const heap = () => (deadlines as unknown as { heap: unknown[] }).heap.length;
  return { clock, ended, deadlines, item, heap };
}

describe('Deadlines', () => {
  it('ends everything at its own time, however ends move', () => {
    const { clock, ended, deadlines, item } = setUp();
    const entropy = new SeededEntropy(3);
    const items = Array.from({ length: 300 }, (_, name) => item(name, 1 + entropy.int(1_000)));
    const wanted = new Map<number, number>();
    for (const one of items) {
      for (let move = entropy.int(4); move > 0; move -= 1) {
        one.until = 1 + entropy.int(1_000);
        deadlines.track(one);
      }
      if (entropy.int(10) === 0) one.until = Infinity;
      else wanted.set(one.name, one.until);
    }
    clock.advance(1_000);
    expect(new Map(ended.map(({ name, at }) => [name, at]))).toEqual(wanted);
    expect(ended).toHaveLength(wanted.size);
    expect(clock.pending).toBe(0);
  });

  it('keeps one timer, and one entry per renewed item', () => {
    const { clock, ended, item, deadlines, heap } = setUp();
    const lease = item(1, 30_000);
    for (let round = 0; round < 1_000; round += 1) {
      clock.advance(10_000);
      lease.until = clock.now() + 30_000;
      deadlines.track(lease);
      expect(clock.pending).toBe(1);
      expect(heap()).toBe(1);
    }
    expect(ended).toEqual([]);
  });

  it('does not grow when an item is moved back and forth repeatedly', () => {
    const { clock, item, deadlines, heap } = setUp();
    const device = item(1, 30_000);
    for (let round = 0; round < 1_000; round += 1) {
      device.until = clock.now() + 5_000;
      deadlines.track(device);
      clock.advance(10);
      device.until = clock.now() + 30_000;
      deadlines.track(device);
    }
    expect(heap()).toBeLessThanOrEqual(10);
  });

  it('has no timer while it is stopped, and continues afterwards', () => {
    const { clock, ended, item, deadlines } = setUp();
    item(1, 100);
    deadlines.stop();
    expect(clock.pending).toBe(0);
    clock.advance(200);
    expect(ended).toEqual([]);
    deadlines.start();
    clock.advance(1);
    expect(ended).toEqual([{ name: 1, at: 201 }]);
  });

  it('continues to wait when the timer fires early, without a busy loop', () => {
    const { clock, ended, item } = setUp();
    item(1, 100);
    clock.jump(-40);
    clock.advance(100);
    expect(ended).toEqual([]);
    clock.advance(40);
    expect(ended).toEqual([{ name: 1, at: 100 }]);
  });
});
