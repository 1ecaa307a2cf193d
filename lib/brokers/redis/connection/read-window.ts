/** Most reads under way on one connection. Redis keeps the answers that a connection has not taken yet in its memory. */
const MAX_UNDER_WAY = 32;

interface Waiting {
  readonly begin: () => void;
  readonly refuse: (error: Error) => void;
}

/** Lets so many reads of one connection be under way; the others wait for their turn, in order. The caller bounds how many wait. */
export class ReadWindow {
  private underWay = 0;
  private waiting: Waiting[] = [];

  /** @param onIdle Called when no read is under way any more. */
  constructor(private readonly onIdle: () => void) {}

  /**
   * @param lateAnswer Of an error of `read`: the answer that may still come. Until it does, or the connection has ended, the
   * read keeps its place, as the server works on it.
   */
  async run<T>(
    read: () => Promise<T>,
    lateAnswer: (error: unknown) => Promise<unknown> | undefined,
  ): Promise<T> {
    if (this.underWay < MAX_UNDER_WAY) this.underWay += 1;
    else await new Promise<void>((begin, refuse) => this.waiting.push({ begin, refuse }));
    let late: Promise<unknown> | undefined;
    try {
      return await read();
    } catch (error) {
      late = lateAnswer(error);
      throw error;
    } finally {
      const pass = () => this.pass();
      if (late === undefined) pass();
      else late.then(pass, pass);
    }
  }

  /** Fails what waits: the places may not be free for long. */
  refuseWaiting(error: Error): void {
    for (const { refuse } of this.waiting.splice(0)) refuse(error);
  }

  /** The place passes to the next one. */
  private pass(): void {
    const next = this.waiting.shift();
    if (next !== undefined) return next.begin();
    this.underWay -= 1;
    if (this.underWay === 0) this.onIdle();
  }
}
