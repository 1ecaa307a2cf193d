/**
 * Work of which a turn of the event loop does one piece: what many clients may cause at the same moment would otherwise keep
 * everybody else waiting.
 */
export class Turns {
  private readonly waiting: (() => void)[] = [];

  /** @param work must not throw. */
  add(work: () => void): void {
    if (this.waiting.push(work) === 1) setImmediate(this.next);
  }

  private readonly next = (): void => {
    const work = this.waiting.shift();
    // Before the work: even if it throws, the rest is done.
    if (this.waiting.length > 0) setImmediate(this.next);
    work?.();
  };
}
