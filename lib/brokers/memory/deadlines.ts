import type { Clock, Scheduled } from '../../core/ports/clock.js';

/** Something that ends at a time that may still move. */
export interface Expiring {
  /** When it ends, in the clock's milliseconds; `Infinity` for never, e.g. because it ended already. */
  until: number;
  /** Set by `Deadlines`: the time for which it is queued. Begins as `Infinity`. */
  queuedAt: number;
}

interface QueuedEnd<T> {
  readonly at: number;
  readonly item: T;
}

/**
 * The ends of many leases and graces on one timer, each at its exact time. An end that moves to a later time costs nothing: when
 * its old entry is due it is queued again. So a lease that is renewed every few seconds is touched once per lease.
 *
 * The core's timer wheel does not fit: it is late by up to a tick, and a diff must not come later than its lease says.
 */
export class Deadlines<T extends Expiring> {
  /** Binary heap, earliest first. */
  private readonly heap: QueuedEnd<T>[] = [];
  private timer: Scheduled | undefined;
  private timerAt = Infinity;
  private running = false;

  constructor(
    private readonly clock: Clock,
    private readonly onDue: () => void,
  ) {}

  /** To be called whenever `until` may have become earlier. */
  track(item: T): void {
    if (item.until >= item.queuedAt) return;
    item.queuedAt = item.until;
    this.insert({ at: item.until, item });
    this.arm();
  }

  /** Removes and returns what has ended. */
  take(now: number): readonly T[] {
    const due: T[] = [];
    for (let top = this.heap[0]; top !== undefined && top.at <= now; top = this.heap[0]) {
      this.removeTop();
      const { item } = top;
      if (item.queuedAt !== top.at) continue;
      item.queuedAt = Infinity;
      if (item.until <= now) due.push(item);
      else if (item.until !== Infinity) this.track(item);
    }
    return due;
  }

  /** Starts the timer. */
  start(): void {
    this.running = true;
    this.arm();
  }

  /** Stops the timer until `start`; `take` still returns what has ended. */
  stop(): void {
    this.running = false;
    this.disarm();
  }

  private arm(): void {
    const top = this.heap[0];
    if (!this.running || top === undefined || top.at >= this.timerAt) return;
    this.disarm();
    this.timerAt = top.at;
    // At least 1 ms: the system's timers may fire early by a fraction, and would then fire again and again.
    this.timer = this.clock.schedule(Math.max(1, top.at - this.clock.now()), () => {
      this.disarm();
      this.onDue();
      this.arm();
    });
  }

  private disarm(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.timerAt = Infinity;
  }

  private insert(entry: QueuedEnd<T>): void {
    let index = this.heap.length;
    while (index > 0) {
      const parentIndex = (index - 1) >>> 1;
      const parent = this.heap[parentIndex];
      if (parent === undefined || parent.at <= entry.at) break;
      this.heap[index] = parent;
      index = parentIndex;
    }
    this.heap[index] = entry;
  }

  private removeTop(): void {
    const last = this.heap.pop();
    if (last === undefined || this.heap.length === 0) return;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const right = this.heap[left + 1];
      let child = this.heap[left];
      let childIndex = left;
      if (child !== undefined && right !== undefined && right.at < child.at) {
        child = right;
        childIndex = left + 1;
      }
      if (child === undefined || child.at >= last.at) break;
      this.heap[index] = child;
      index = childIndex;
    }
    this.heap[index] = last;
  }
}
