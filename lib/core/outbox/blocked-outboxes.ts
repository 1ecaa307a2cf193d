import type { OutboxBudget } from './outbox-budget.js';

/** What a socket holds back, and since when, on the monotonic clock. */
interface HeldFrame {
  readonly frame: Buffer;
  readonly since: number;
}

/** The outboxes whose socket holds back what it was given: how far behind the slowest reader is. */
export class BlockedOutboxes {
  /** The one that has taken nothing for longest comes first. */
  private readonly held = new Map<object, HeldFrame>();

  /** @param memory is told of what is held. */
  constructor(private readonly memory: Pick<OutboxBudget, 'hold' | 'release'>) {}

  get size(): number {
    return this.held.size;
  }

  has(outbox: object): boolean {
    return this.held.has(outbox);
  }

  /** The socket of an outbox holds back a frame. Again, when it has taken some since: it is not stuck. */
  block(outbox: object, frame: Buffer, since: number): void {
    this.free(outbox);
    this.held.set(outbox, { frame, since });
    this.memory.hold(frame);
  }

  /** It takes bytes again, or is gone. */
  free(outbox: object): void {
    const held = this.held.get(outbox);
    if (held === undefined) return;
    this.held.delete(outbox);
    this.memory.release(held.frame);
  }

  /** For how long the socket that has taken nothing for longest has done so, in milliseconds; 0 where none is behind. */
  oldestMs(now: number): number {
    for (const { since } of this.held.values()) return now - since;
    return 0;
  }
}
