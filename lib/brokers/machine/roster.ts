/** What a roster needs of an item. */
export interface RosterItem {
  readonly id: string;
  /** Given by the roster, ascending; never used twice. */
  readonly order: number;
}

/** Items by id that can also be read a page at a time, in the order in which they were added. */
export class Roster<T extends RosterItem> {
  private readonly byId = new Map<string, T>();
  /** Ascending by `order`; deleted items stay until half of them are deleted. */
  private sequence: T[] = [];
  private nextOrder = 1;

  get size(): number {
    return this.byId.size;
  }

  get(id: string): T | undefined {
    return this.byId.get(id);
  }

  /** @param create Makes the item with the order that it is given. */
  add(id: string, create: (order: number) => T): T {
    const item = create(this.nextOrder);
    this.nextOrder += 1;
    this.byId.set(id, item);
    this.sequence.push(item);
    return item;
  }

  /** In the order in which they were added. */
  all(): readonly T[] {
    return [...this.byId.values()];
  }

  /** The order that the next item is given. */
  get next(): number {
    return this.nextOrder;
  }

  /** Into a new one, the items of a checkpoint in their order. */
  restore(items: readonly T[], next: number): void {
    for (const item of items) this.byId.set(item.id, item);
    this.sequence = [...items];
    this.nextOrder = next;
  }

  delete(item: T): void {
    if (!this.byId.delete(item.id)) return;
    if (this.sequence.length > 2 * this.byId.size + 16) this.sequence = [...this.byId.values()];
  }

  /**
   * Items after a place in the order; `more` is the place of the last one. An item that stays while all pages are read is returned
   * exactly once.
   */
  page(after: number, limit: number): { readonly items: readonly T[]; readonly more?: string } {
    const most = Math.max(1, limit);
    const items: T[] = [];
    for (let index = this.indexAfter(after); index < this.sequence.length; index += 1) {
      const item = this.sequence[index];
      if (item === undefined || this.byId.get(item.id) !== item) continue;
      if (items.length === most) return { items, more: String(items[most - 1]?.order) };
      items.push(item);
    }
    return { items };
  }

  /** Index of the first item whose order is above `order`. */
  private indexAfter(order: number): number {
    let low = 0;
    let high = this.sequence.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.sequence[middle]?.order ?? Infinity) > order) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
