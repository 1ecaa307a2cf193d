import { RateLimit } from './rate-limit.js';

/** Rate of a user over all connections of this node (G16). A bucket that is full again is forgotten. */
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
