import { describe, expect, it } from '@jest/globals';
import { EndQueue, type Expiring } from '../../../../lib/brokers/machine/end-queue.js';
import { DueTimer } from '../../../../lib/brokers/memory/due-timer.js';
import type { Clock } from '../../../../lib/core/ports/clock.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

interface Item extends Expiring {
  readonly name: number;
  until: number;
}

/** A queue of ends with the timer of a store. */
function timed(clock: Clock, onEnd: (item: Item) => void) {
  const queue = new EndQueue<Item>();
  const timer = new DueTimer(
    clock,
    () => queue.next,
    () => queue.take(clock.monotonic()).forEach(onEnd),
  );
  return {
    start: () => timer.start(),
    stop: () => timer.stop(),
    take: (now: number) => queue.take(now),
    delete: (item: Item) => queue.delete(item),
    track(item: Item): void {
      queue.track(item);
      timer.arm();
    },
    get size() {
      return queue.size;
    },
  };
}

function setUp() {
  const clock = new ManualClock(0);
  const ended: { readonly name: number; readonly at: number }[] = [];
  const deadlines = timed(clock, ({ name }) => ended.push({ name, at: clock.monotonic() }));
  deadlines.start();
  const item = (name: number, until: number): Item => {
    const made = { name, until, order: name, index: -1, key: 0 };
    deadlines.track(made);
    return made;
  };
  const heap = () => deadlines.size;
  return { clock, ended, deadlines, item, heap };
}

describe('DueTimer over an EndQueue', () => {
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
      lease.until = clock.monotonic() + 30_000;
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
      device.until = clock.monotonic() + 5_000;
      deadlines.track(device);
      clock.advance(10);
      device.until = clock.monotonic() + 30_000;
      deadlines.track(device);
    }
    expect(heap()).toBe(1);
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

  it.each([-3_600_000, 3_600_000])('ends in its time when the wall clock jumps by %i ms', (jump) => {
    const { clock, ended, item } = setUp();
    item(1, 100);
    clock.jump(jump);
    clock.advance(99);
    expect(ended).toEqual([]);
    clock.advance(1);
    expect(ended).toEqual([{ name: 1, at: 100 }]);
  });

  it('continues to wait when the timer fires early, without a busy loop', () => {
    const clock = new ManualClock(0);
    const delays: number[] = [];
    const hasty: Clock = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      schedule(ms, task) {
        delays.push(ms);
        return clock.schedule(Math.ceil(ms / 2), task);
      },
    };
    const ended: number[] = [];
    const deadlines = timed(hasty, () => ended.push(clock.monotonic()));
    deadlines.start();
    deadlines.track({ name: 1, until: 100, order: 1, index: -1, key: 0 });
    clock.advance(99);
    expect(ended).toEqual([]);
    clock.advance(1);
    expect(ended).toEqual([100]);
    expect(delays).toEqual([100, 50, 25, 12, 6, 3, 1]);
  });

  it('gives what ends at one time in the order of its numbers, however it was queued', () => {
    const { deadlines, item } = setUp();
    const items = [5, 3, 9, 1, 7].map((name) => item(name, 100));
    for (const one of [items[2], items[0]]) {
      if (one === undefined) continue;
      deadlines.delete(one);
      deadlines.track(one);
    }
    expect(deadlines.take(99)).toEqual([]);
    expect(deadlines.take(100).map(({ name }) => name)).toEqual([1, 3, 5, 7, 9]);
  });
});
