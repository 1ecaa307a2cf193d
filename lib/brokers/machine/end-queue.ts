import { MinHeap, type HeapItem } from './heap.js';

/** Something that ends at a time that may still move. */
export interface Expiring extends HeapItem {
  /** When it ends, in milliseconds of machine time; `Infinity` for never, e.g. because it ended already. */
  readonly until: number;
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

  /** To be called when the ends of any may have become earlier. */
  trackAll(): void {
    for (const item of this.heap.all()) this.track(item);
  }

  /** Idempotent. */
  delete(item: T): void {
    this.heap.delete(item);
  }

  /** To be called with an item of a checkpoint, and the `key` that it was queued by there. */
  restore(item: T, key: number | null): void {
    if (key !== null) this.heap.put(item, key);
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

/** What an item is queued by, for a checkpoint; `null` where it is not queued. */
export function queuedBy({ index, key }: Expiring): number | null {
  return index < 0 ? null : key;
}
