const INITIAL_CAPACITY = 8;

/**
 * A queue in one array: `push` and `shift` are O(1) however long it is, and reading by index needs no copy. An array's
 * own `shift` moves every element once it is long, and a `Map` that is emptied from its front scans its deleted entries.
 */
export class RingBuffer<T> {
  /** Always a power of two, so that an index wraps with a mask; empty until the first `push`. */
  private slots: (T | undefined)[] = [];
  private head = 0;
  private size = 0;

  get length(): number {
    return this.size;
  }

  /** Item by its distance from the oldest; `undefined` outside. */
  at(index: number): T | undefined {
    if (index < 0 || index >= this.size) return undefined;
    return this.slots[(this.head + index) & (this.slots.length - 1)];
  }

  push(item: T): void {
    if (this.size === this.slots.length) this.resize(Math.max(INITIAL_CAPACITY, this.size * 2));
    this.slots[(this.head + this.size) & (this.slots.length - 1)] = item;
    this.size += 1;
  }

  /** Removes the oldest item. */
  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.slots[this.head];
    this.slots[this.head] = undefined;
    this.head = (this.head + 1) & (this.slots.length - 1);
    this.size -= 1;
    // Releases the memory of a burst; at a quarter, so that a steady queue does not resize again and again.
    if (this.slots.length > INITIAL_CAPACITY && this.size * 4 <= this.slots.length) {
      this.resize(this.slots.length / 2);
    }
    return item;
  }

  private resize(capacity: number): void {
    const next = new Array<T | undefined>(capacity).fill(undefined);
    for (let index = 0; index < this.size; index += 1) next[index] = this.at(index);
    this.slots = next;
    this.head = 0;
  }
}
