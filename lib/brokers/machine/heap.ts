/** What a {@link MinHeap} needs of an item; the fields are the heap's own, and begin as `-1` and `0`. */
export interface HeapItem {
  /** Its place in the heap; -1 outside. */
  index: number;
  /** What it is ordered by. */
  key: number;
  /** Decides between equal keys, so that the order never depends on the order of the insertions. Unique. */
  readonly order: number;
}

/** A binary heap, smallest key first, from which any item can be removed: it never holds more than its items. */
export class MinHeap<T extends HeapItem> {
  private readonly items: T[] = [];

  get size(): number {
    return this.items.length;
  }

  /** The item with the smallest key. */
  get first(): T | undefined {
    return this.items[0];
  }

  /** All items, in no order: a copy. */
  all(): readonly T[] {
    return [...this.items];
  }

  /** Inserts the item, or moves it to another key. */
  put(item: T, key: number): void {
    item.key = key;
    if (item.index < 0) {
      item.index = this.items.length;
      this.items.push(item);
    }
    this.rise(item);
    this.sink(item);
  }

  /** Idempotent. */
  delete(item: T): void {
    const { index } = item;
    if (index < 0) return;
    item.index = -1;
    const last = this.items.pop();
    if (last === undefined || last === item) return;
    this.place(last, index);
    this.rise(last);
    this.sink(last);
  }

  private place(item: T, index: number): void {
    this.items[index] = item;
    item.index = index;
  }

  private rise(item: T): void {
    while (item.index > 0) {
      const index = item.index;
      const parent = this.items[(index - 1) >>> 1];
      if (parent === undefined || !isBefore(item, parent)) return;
      this.place(item, parent.index);
      this.place(parent, index);
    }
  }

  private sink(item: T): void {
    for (;;) {
      const index = item.index;
      const left = this.items[2 * index + 1];
      const right = this.items[2 * index + 2];
      const child = left !== undefined && right !== undefined && isBefore(right, left) ? right : left;
      if (child === undefined || !isBefore(child, item)) return;
      this.place(item, child.index);
      this.place(child, index);
    }
  }
}

function isBefore(left: HeapItem, right: HeapItem): boolean {
  return left.key < right.key || (left.key === right.key && left.order < right.order);
}
