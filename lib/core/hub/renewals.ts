import type { RetryQueue } from '../async/retry-queue.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { Clock, Scheduled } from '../ports/clock.js';

/** Renewals within a lease: one may be missed. */
const RENEWALS = 3;
/** Time between two parts of a round, in milliseconds. */
const STEP_MS = 100;
/** Fewer things are renewed in one call: parts of their own would cost more than they spread. */
const FEW = 200;
/** Most things, and bytes of their names, that are renewed in one call; the next call waits for its answer. */
const BATCH = 1_000;
const BATCH_BYTES = 256 * 1024;

export interface RenewalsDeps<T> {
  readonly clock: Clock;
  readonly retries: Pick<RetryQueue, 'later'>;
  readonly journal: Pick<ThrottledLog, 'warn'>;
  readonly leaseMs: number;
  /** What is renewed, as the log names it. */
  readonly what: string;
  /** Everything that is to be renewed, those that came later behind the others. */
  readonly all: { readonly size: number; values(): Iterator<T> };
  /** Whether it still is. */
  has(one: T): boolean;
  bytesOf(one: T): number;
  /** Rejects where the broker did not take them all. */
  renew(batch: readonly T[]): Promise<void>;
}

/**
 * Renews leases evenly: each thing once in a third of a lease, in parts, so that neither this node nor the broker stands still for
 * all of them at once. What failed is tried again soon, and at once when the broker is back; once it was taken, and where a round is
 * behind its time, the rest follows as fast as the broker answers. The next round begins after it.
 */
export class Renewals<T> {
  private readonly periodMs: number;
  private timer: Scheduled | undefined;
  private closed = false;
  private isLate = false;
  /** Whether what failed is to be tried again now. */
  private isAgain = false;

  constructor(private readonly deps: RenewalsDeps<T>) {
    this.periodMs = deps.leaseMs / RENEWALS;
  }

  start(): void {
    this.after(this.periodMs, () => void this.round());
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
  }

  private after(ms: number, task: () => void): void {
    if (!this.closed) this.timer = this.deps.clock.schedule(ms, task);
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** Never rejects. */
  private async round(): Promise<void> {
    const { clock, all, retries } = this.deps;
    const beganAt = clock.monotonic();
    // What comes on the way is behind these, and was written when it came.
    const { size } = all;
    const left = all.values();
    const failed: (readonly T[])[] = [];
    let taken = 0;
    let elapsed = 0;
    let hurries = false;
    while (!this.closed && (taken < size || (failed.length > 0 && elapsed < this.periodMs))) {
      const again = this.isAgain ? failed.shift()?.filter((one) => this.deps.has(one)) : undefined;
      const due = hurries ? size : Math.ceil((size * (elapsed + STEP_MS)) / this.periodMs) - taken;
      const batch = again ?? this.next(left, Math.min(Math.max(due, FEW), BATCH, size - taken));
      // None are left where others were released.
      if (again === undefined) taken += batch.length || size - taken;
      if (batch.length > 0 && !(await this.renewed(batch))) {
        failed.push(batch);
        this.isAgain = false;
        retries.later(this.tryAgain);
      } else {
        hurries ||= again !== undefined;
      }
      const spent = clock.monotonic() - beganAt - elapsed;
      if (taken === size) {
        if (failed.length > 0 && !this.isAgain) await this.pause(STEP_MS);
      } else if (again === undefined && due <= batch.length) {
        await this.pause(STEP_MS - spent);
      }
      elapsed = clock.monotonic() - beganAt;
      if (elapsed > this.periodMs && taken < size) this.warn();
    }
    if (elapsed <= this.periodMs) this.isLate = false;
    this.after(Math.max(0, this.periodMs - elapsed), () => void this.round());
  }

  private readonly tryAgain = (): void => {
    this.isAgain = true;
  };

  private next(left: Iterator<T>, most: number): readonly T[] {
    const batch: T[] = [];
    let bytes = 0;
    while (batch.length < most && bytes < BATCH_BYTES) {
      const { done = false, value } = left.next() as IteratorResult<T, undefined>;
      if (done || value === undefined) break;
      batch.push(value);
      bytes += this.deps.bytesOf(value);
    }
    return batch;
  }

  private async renewed(batch: readonly T[]): Promise<boolean> {
    try {
      await this.deps.renew(batch);
      return true;
    } catch {
      return false;
    }
  }

  /** Once, until a round has ended in time. */
  private warn(): void {
    if (this.isLate) return;
    this.isLate = true;
    const { journal, what, all, leaseMs } = this.deps;
    journal.warn(
      'renewals',
      () =>
        `Renewing ${all.size} ${what} takes longer than a third of their lease (${leaseMs} ms): some may end although they are ` +
        'still there. Check that the broker answers, give a longer `presenceLease`, or use more nodes',
    );
  }
}
