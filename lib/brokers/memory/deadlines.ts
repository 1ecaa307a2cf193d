import type { Clock, Scheduled } from '../../core/ports/clock.js';

/** Something that ends at a time that may still move. */
export interface Timed {
  /** When it ends, in the clock's milliseconds; `Infinity` for never, e.g. because it ended already. */
  until: number;
  /** Kept by `Deadlines`: for when it is queued. Begins as `Infinity`. */
  queuedAt: number;
}

interface Entry<T> {
  readonly at: number;
  readonly item: T;
}

/**
 * Ends of many things on one timer. An end that moves later costs nothing: its old entry comes up, is found to be
 * early, and is queued again. So a lease that is renewed every few seconds is touched once per lease.
 */
export class Deadlines<T extends Timed> {
  /** Binary heap, earliest first. */
  private readonly heap: Entry<T>[] = [];
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

  /** Takes what has ended. */
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

  /** Lets the timer run. */
  start(): void {
    this.running = true;
    this.arm();
  }

  /** Holds no timer until `start`; ends are then still taken by `take`. */
  stop(): void {
    this.running = false;
    this.disarm();
  }

  private arm(): void {
    const top = this.heap[0];
    if (!this.running || top === undefined || top.at >= this.timerAt) return;
    this.disarm();
    this.timerAt = top.at;
    // At least 1: the system's timers may fire early by a fraction, and would then spin.
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

  private insert(entry: Entry<T>): void {
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
