import type { Clock, Scheduled } from '../../core/ports/clock.js';
import { MinHeap, type HeapItem } from './heap.js';

/** Something that ends at a time that may still move. */
export interface Expiring extends HeapItem {
  /** When it ends, in milliseconds of {@link timeOf}; `Infinity` for never, e.g. because it ended already. */
  readonly until: number;
}

/** The time of a store: whole milliseconds of the clock that never jumps, so that what ends together ends at one instant. */
export function timeOf(clock: Clock): number {
  return Math.floor(clock.monotonic());
}

/**
 * Ends of many leases, graces, events and heads, in the order of their times. An end that moves to a later time costs nothing:
 * when its old time is due it is queued again. So a lease that is renewed every few seconds is touched once per lease.
 */
export class EndQueue<T extends Expiring> {
  private readonly heap = new MinHeap<T>();

  get size(): number {
    return this.heap.size;
  }

  /** A time before which nothing ends; `Infinity` when nothing is queued. */
  get next(): number {
    return this.heap.first?.key ?? Infinity;
  }

  /** To be called whenever `until` may have become earlier. */
  track(item: T): void {
    const { until } = item;
    if (until !== Infinity && (item.index < 0 || until < item.key)) this.heap.put(item, until);
  }

  /** Idempotent. */
  delete(item: T): void {
    this.heap.delete(item);
  }

  /** Removes and returns what has ended, in the order of `until`. */
  take(now: number): readonly T[] {
    const due: T[] = [];
    for (let first = this.heap.first; first !== undefined && first.key <= now; first = this.heap.first) {
      const { until } = first;
      if (until > first.key && until !== Infinity) {
        this.heap.put(first, until);
        continue;
      }
      this.heap.delete(first);
      if (until <= now) due.push(first);
    }
    return due;
  }
}

/**
 * An {@link EndQueue} with a timer, for what must be noticed at its exact time.
 *
 * The core's timer wheel does not fit: it is late by up to a tick, and a diff must not come later than its lease says.
 */
export class Deadlines<T extends Expiring> extends EndQueue<T> {
  private timer: Scheduled | undefined;
  private timerAt = Infinity;
  private running = false;

  constructor(
    private readonly clock: Clock,
    private readonly onDue: () => void,
  ) {
    super();
  }

  override track(item: T): void {
    super.track(item);
    this.arm();
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
    const { next } = this;
    if (!this.running || next >= this.timerAt) return;
    this.disarm();
    this.timerAt = next;
    // At least 1 ms: the system's timers may fire early by a fraction, and would then fire again and again.
    this.timer = this.clock.schedule(Math.max(1, next - timeOf(this.clock)), () => {
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
}
