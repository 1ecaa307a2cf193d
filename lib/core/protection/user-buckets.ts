import { TokenBucket } from './token-bucket.js';

/** Rate of a user over all connections of this node (G16). A bucket that is full again is forgotten. */
export class UserBuckets {
  private readonly buckets = new Map<string, TokenBucket>();
  private sweepAt = 256;

  constructor(private readonly ratePerSecond: number) {}

  take(user: string, now: number): boolean {
    let bucket = this.buckets.get(user);
    if (bucket === undefined) {
      if (this.buckets.size >= this.sweepAt) this.sweep(now);
      bucket = new TokenBucket(this.ratePerSecond, this.ratePerSecond * 2, now);
      this.buckets.set(user, bucket);
    }
    return bucket.take(1, now);
  }

  waitFor(user: string, now: number): number {
    return this.buckets.get(user)?.waitFor(1, now) ?? 0;
  }

  private sweep(now: number): void {
    for (const [user, bucket] of this.buckets) if (bucket.isFull(now)) this.buckets.delete(user);
    // Doubling keeps the cost of sweeping per new user constant, however many are active at once.
    this.sweepAt = Math.max(256, this.buckets.size * 2);
  }
}
