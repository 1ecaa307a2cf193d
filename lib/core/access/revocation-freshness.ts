import type { Clock, Scheduled } from '../ports/clock.js';

/** Notified when the records of revokes are no longer proved to be complete, and when they are again. */
export interface RevocationFreshnessEvents {
  onStale(): void;
  onCurrent(): void;
}

/**
 * Whether this node knows every revoke and ban that is in force (G11). The broker proves it for a time. When that has passed
 * without a newer proof, a revoke may be in force that this node does not know of.
 */
export class RevocationFreshness {
  /** A broker that never proves anything cannot be late, e.g. one within the process. */
  private until = Number.POSITIVE_INFINITY;
  private stale = false;
  private timer: Scheduled | undefined;
  private closed = false;

  constructor(
    private readonly clock: Clock,
    private readonly owner: RevocationFreshnessEvents,
  ) {}

  /**
   * Reads the clock too, and not only the timer's result: a process that was stopped reads its sockets before its timers run,
   * and would deliver events that arrived while it was stopped.
   */
  get isStale(): boolean {
    if (this.stale) return true;
    if (this.until === Number.POSITIVE_INFINITY || this.clock.monotonic() < this.until) return false;
    this.stale = true;
    this.owner.onStale();
    return true;
  }

  /**
   * The broker proved that nothing is missing.
   *
   * @param forMs how long that may be relied on, in milliseconds. 0 as the first: something may be missing until a proof comes.
   */
  prove(forMs: number): void {
    // A broker proves until it is closed, which is after this.
    if (this.closed) return;
    const now = this.clock.monotonic();
    const until = now + forMs;
    // Proofs may arrive in another order than they were requested.
    if (until < now || (this.until !== Number.POSITIVE_INFINITY && until <= this.until)) return;
    this.until = until;
    if (this.timer === undefined) this.arm(forMs);
    if (!this.stale) return;
    this.stale = false;
    this.owner.onCurrent();
  }

  /** Notices staleness before queued bytes are written. */
  check(): void {
    void this.isStale;
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
    this.timer = undefined;
    this.until = Number.POSITIVE_INFINITY;
  }

  /** One timer at a time, however many proofs arrive. */
  private arm(forMs: number): void {
    this.timer = this.clock.schedule(forMs, () => {
      this.timer = undefined;
      if (!this.isStale) this.arm(this.until - this.clock.monotonic());
    });
  }
}
