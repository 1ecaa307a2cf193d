import type { ThrottledLog } from '../async/throttled-log.js';
import type { OutboxLimits } from '../ports/settings.js';
import type { FlushScheduler, Flushable } from './flush-scheduler.js';

/** What one connection may hold, however much others hold: about a frame. */
export const SHARE_BYTES = 64 * 1024;
/** Classes of outboxes by what waits in them: each holds twice the one before, and the last whatever is larger. */
const CLASSES = 16;
/** Share of the bound above which nobody is given more than its share of what can be asked for again. */
const SCARCE = 0.5;

/** An outbox, as the budget knows it. */
export interface BudgetedOutbox {
  /** Ends the connection; the second time, frees what the socket of an ended one still holds. */
  shed(): void;
}

export interface OutboxBudgetDeps {
  readonly limits: Pick<OutboxLimits, 'maxBytesPerNode'>;
  readonly scheduler: Pick<FlushScheduler, 'session'>;
  readonly journal: Pick<ThrottledLog, 'warn'>;
}

/**
 * What waits for all clients of this node: what many share is counted once, and what a socket holds back counts until it is
 * written or the connection is gone. Above the bound connections end: first those that were closed and do not go, then of the
 * fullest, within a factor of two, the one that has been as full for longest. Whoever holds no more than {@link SHARE_BYTES} is
 * never ended.
 */
export class OutboxBudget implements Flushable {
  private total = 0;
  /** How many outboxes hold bytes that they may share. */
  private readonly holders = new Map<Buffer, number>();
  private readonly classes = Array.from({ length: CLASSES }, () => new Set<BudgetedOutbox>());
  private readonly closing = new Set<BudgetedOutbox>();
  private scheduled = false;

  constructor(private readonly deps: OutboxBudgetDeps) {}

  /** Bytes that are counted. */
  get bytes(): number {
    return this.total;
  }

  /** Whether so much waits that replays and reads must wait too, of connections that hold their share. */
  get isScarce(): boolean {
    return this.total > this.deps.limits.maxBytesPerNode * SCARCE;
  }

  /** Counts bytes that other outboxes may hold as well. */
  hold(bytes: Buffer): void {
    const holders = this.holders.get(bytes) ?? 0;
    this.holders.set(bytes, holders + 1);
    if (holders === 0) this.change(bytes.length);
  }

  /** Each call matches one of {@link hold}. */
  release(bytes: Buffer): void {
    const holders = this.holders.get(bytes) ?? 0;
    if (holders > 1) {
      this.holders.set(bytes, holders - 1);
      return;
    }
    this.holders.delete(bytes);
    this.change(-bytes.length);
  }

  /** Counts bytes that only one outbox holds. */
  change(bytes: number): void {
    this.total += bytes;
    if (this.scheduled || this.total <= this.deps.limits.maxBytesPerNode) return;
    // At the end of the turn: what is pushed now may be pushed from within a loop over the subscriptions of a channel.
    this.scheduled = true;
    this.deps.scheduler.session(this);
  }

  /** What waits in an outbox has changed, in bytes. */
  moved(outbox: BudgetedOutbox, before: number, after: number): void {
    const from = classOf(before);
    const to = classOf(after);
    if (from === to) return;
    this.classes[from]?.delete(outbox);
    this.classes[to]?.add(outbox);
  }

  /** The session of an outbox has ended, and its socket holds bytes of it. */
  closes(outbox: BudgetedOutbox): void {
    this.closing.add(outbox);
  }

  /** The connection of an outbox is gone. */
  gone(outbox: BudgetedOutbox): void {
    this.closing.delete(outbox);
  }

  /** Ends connections until the rest is within the bound. */
  flush(): void {
    this.scheduled = false;
    const { limits, journal } = this.deps;
    const { total } = this;
    let ended = 0;
    while (this.total > limits.maxBytesPerNode) {
      const outbox = this.take(this.closing) ?? this.takeFullest();
      if (outbox === undefined) break;
      ended++;
      outbox.shed();
    }
    if (ended === 0) return;
    journal.warn(
      'outbox budget',
      () =>
        `What waits for the clients of this node, ${total} bytes, exceeded outbox.maxBytesPerNode (${limits.maxBytesPerNode}): ` +
        'those that read too slowly and hold most were closed with 4003',
    );
  }

  private takeFullest(): BudgetedOutbox | undefined {
    for (let index = CLASSES - 1; index >= 0; index--) {
      const outbox = this.take(this.classes[index]);
      if (outbox !== undefined) return outbox;
    }
    return undefined;
  }

  /** The one that has been there for longest. */
  private take(outboxes: Set<BudgetedOutbox> | undefined): BudgetedOutbox | undefined {
    for (const outbox of outboxes ?? []) {
      outboxes?.delete(outbox);
      return outbox;
    }
    return undefined;
  }
}

/** @returns -1 for what is within everybody's share. */
function classOf(bytes: number): number {
  return bytes <= SHARE_BYTES ? -1 : Math.min(CLASSES - 1, 31 - Math.clz32((bytes - 1) / SHARE_BYTES));
}
