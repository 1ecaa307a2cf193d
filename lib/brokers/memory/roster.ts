/** What a roster needs to know of an item. */
export interface RosterItem {
  readonly id: string;
  /** Given by the roster, ascending; never used twice. */
  readonly order: number;
}

/** Items by id that can also be read a page at a time, in the order in which they came. */
export class Roster<T extends RosterItem> {
  private readonly byId = new Map<string, T>();
  /** Ascending by `order`; an item that went leaves a hole until half are holes. */
  private sequence: (T | undefined)[] = [];
  private orders: number[] = [];
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
    this.orders.push(item.order);
    return item;
  }

  delete(item: T): void {
    if (!this.byId.delete(item.id)) return;
    this.sequence[this.indexAfter(item.order - 1)] = undefined;
    if (this.sequence.length > 2 * this.byId.size + 16) this.compact();
  }

  /**
   * Items that came after the cursor. Whoever stays during a walk through the pages is seen exactly once.
   *
   * @param cursor From the page before; anything else, and nothing, begins at the start: it is the client's to send.
   */
  page(cursor: string | undefined, limit: number): { readonly items: readonly T[]; readonly more?: string } {
    const after = cursor !== undefined && /^\d{1,15}$/.test(cursor) ? Number(cursor) : 0;
    const most = Math.max(1, limit);
    const items: T[] = [];
    for (let index = this.indexAfter(after); index < this.sequence.length; index += 1) {
      const item = this.sequence[index];
      if (item === undefined) continue;
      if (items.length === most) return { items, more: String(items[most - 1]?.order) };
      items.push(item);
    }
    return { items };
  }

  /** Index of the first item whose order is above `order`. */
  private indexAfter(order: number): number {
    let low = 0;
    let high = this.orders.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.orders[middle] ?? Infinity) > order) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  private compact(): void {
    this.sequence = [...this.byId.values()];
    this.orders = this.sequence.map((item) => item?.order ?? 0);
  }
}
