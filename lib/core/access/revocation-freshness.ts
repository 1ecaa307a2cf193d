import type { Clock, Scheduled } from '../ports/clock.js';

/** Told when the view is no longer proven, and when it is again. */
export interface RevocationFreshnessEvents {
  onStale(): void;
  onCurrent(): void;
}

/**
 * Whether this node may take its view of revokes and bans for current (G11). The broker proves it for a time; when the
 * time is over and no newer proof has come, a revoke may be in force that this node does not know.
 */
export class RevocationFreshness {
  /** A broker that never lends trust cannot be late. */
  private until = Number.POSITIVE_INFINITY;
  private stale = false;
  private timer: Scheduled | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly owner: RevocationFreshnessEvents,
  ) {}

  /**
   * Looks at the clock, not only at what the timer did: a process that stood still reads its sockets before its timers run,
   * and would deliver what came meanwhile.
   */
  get isStale(): boolean {
    if (this.stale) return true;
    if (this.until === Number.POSITIVE_INFINITY || this.clock.monotonic() < this.until) return false;
    this.stale = true;
    this.owner.onStale();
    return true;
  }

  /** The broker proved the view. @param forMs how long that may be relied on, in milliseconds. */
  prove(forMs: number): void {
    const now = this.clock.monotonic();
    const until = now + forMs;
    // Proofs that were asked for at different times may come in any order.
    if (until <= now || (this.until !== Number.POSITIVE_INFINITY && until <= this.until)) return;
    this.until = until;
    if (this.timer === undefined) this.arm(forMs);
    if (!this.stale) return;
    this.stale = false;
    this.owner.onCurrent();
  }

  /** For who is about to write what was queued. */
  look(): void {
    void this.isStale;
  }

  close(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.until = Number.POSITIVE_INFINITY;
  }

  /** One timer at a time, however often the view is proved. */
  private arm(forMs: number): void {
    this.timer = this.clock.schedule(forMs, () => {
      this.timer = undefined;
      if (!this.isStale) this.arm(this.until - this.clock.monotonic());
    });
  }
}
