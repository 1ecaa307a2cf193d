/** Most of what waits to be written by a node, over all partitions. */
export interface WriteBounds {
  readonly maxQueued: number;
  readonly maxQueuedBytes: number;
}

/** The room of a node for commands that have no outcome yet. */
export class WriteRoom {
  private count = 0;
  private bytes = 0;
  private onIdle: (() => void) | undefined;

  constructor(private readonly bounds: WriteBounds) {}

  /** Commands without an outcome. */
  get size(): number {
    return this.count;
  }

  /** @returns Whether there is room. The first command always has, however large it is. */
  take(bytes: number): boolean {
    const { maxQueued, maxQueuedBytes } = this.bounds;
    const isFull = this.count >= maxQueued || (this.count > 0 && this.bytes + bytes > maxQueuedBytes);
    if (isFull) return false;
    this.count += 1;
    this.bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.count -= 1;
    this.bytes -= bytes;
    if (this.count === 0) this.onIdle?.();
  }

  /** Resolves when every command has its outcome. */
  async idle(): Promise<void> {
    if (this.count === 0) return;
    await new Promise<void>((resolve) => (this.onIdle = resolve));
  }
}
