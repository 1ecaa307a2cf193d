/** Most reads under way on one connection. Redis keeps the answers that a connection has not taken yet in its memory. */
const MAX_UNDER_WAY = 32;

/** Lets so many reads of one connection be under way; the others wait for their turn, in order. The caller bounds how many wait. */
export class ReadWindow {
  private underWay = 0;
  private readonly waiting: (() => void)[] = [];

  get isIdle(): boolean {
    return this.underWay === 0;
  }

  async run<T>(read: () => Promise<T>): Promise<T> {
    if (this.underWay < MAX_UNDER_WAY) this.underWay += 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      return await read();
    } finally {
      // The place passes to the next one.
      const next = this.waiting.shift();
      if (next === undefined) this.underWay -= 1;
      else next();
    }
  }
}
