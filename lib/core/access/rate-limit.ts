/** Beyond what adding many fractions of a millisecond may be off by. */
const ROUNDING_MS = 1e-6;

/**
 * A sustained rate with a burst (G16): a token bucket. Its whole state is one number that the caller keeps: the time at which
 * the bucket is full again; any time in the past means a full one. The caller also gives the time.
 */
export class RateLimit {
  private readonly tokenMs: number;
  private readonly burstMs: number;

  /** @param ratePerSecond tokens a second. @param burst most tokens saved up. */
  constructor(ratePerSecond: number, burst: number) {
    this.tokenMs = 1000 / ratePerSecond;
    this.burstMs = burst * this.tokenMs;
  }

  /** When the bucket is full again after `amount` tokens are taken from it; `undefined` when they are not there. */
  take(fullAt: number, amount: number, now: number): number | undefined {
    const after = Math.max(fullAt, now) + amount * this.tokenMs;
    return after - now <= this.burstMs + ROUNDING_MS ? after : undefined;
  }

  /** Milliseconds until `amount` tokens are there, or all that the bucket holds. */
  waitFor(fullAt: number, amount: number, now: number): number {
    const neededMs = Math.min(amount * this.tokenMs, this.burstMs);
    return Math.max(0, Math.max(fullAt, now) + neededMs - this.burstMs - now);
  }
}

/** The rate of each user over all connections of this node (G16). Buckets that are full again are removed. */
export class UserBuckets {
  private readonly limit: RateLimit;
  /** By user, the time at which the bucket is full again. */
  private readonly buckets = new Map<string, number>();
  private sweepAt = 256;

  constructor(ratePerSecond: number) {
    this.limit = new RateLimit(ratePerSecond, ratePerSecond * 2);
  }

  take(user: string, now: number): boolean {
    const fullAt = this.buckets.get(user);
    if (fullAt === undefined && this.buckets.size >= this.sweepAt) this.sweep(now);
    const after = this.limit.take(fullAt ?? now, 1, now);
    if (after === undefined) return false;
    this.buckets.set(user, after);
    return true;
  }

  waitFor(user: string, now: number): number {
    return this.limit.waitFor(this.buckets.get(user) ?? now, 1, now);
  }

  private sweep(now: number): void {
    for (const [user, fullAt] of this.buckets) if (fullAt <= now) this.buckets.delete(user);
    // Doubling keeps the cost of sweeping per new user constant, however many are active at once.
    this.sweepAt = Math.max(256, this.buckets.size * 2);
  }
}
