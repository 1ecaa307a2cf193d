import { hash } from 'node:crypto';
import type { RateLimit } from './rate-limit.js';

/** Longer names of subjects are kept as a digest: so the bound in number is one in bytes too. */
const MAX_KEY_LENGTH = 64;
const FIRST_SWEEP = 256;
/** Share of the capacity that is left when the oldest are forgotten, so that not every new subject costs a sweep. */
const KEPT = 0.75;

/** One subject's; changed in place, so that what is counted for each command makes no object. */
interface Bucket {
  /** When it is full again. */
  fullAt: number;
}

/**
 * A bucket for each user or address (G16), over all their connections to this node. Buckets that are full again are removed.
 * Above the capacity the oldest is forgotten, which is then as good as full: nobody is refused because others are many.
 */
export class SubjectBuckets {
  private readonly buckets = new Map<string, Bucket>();
  private sweepAt: number;

  /** @param capacity most buckets that are kept. */
  constructor(
    private readonly limit: RateLimit,
    private readonly capacity: number,
  ) {
    this.sweepAt = Math.min(FIRST_SWEEP, capacity);
  }

  get size(): number {
    return this.buckets.size;
  }

  /**
   * Takes tokens from the bucket of a subject, as {@link RateLimit.take} does.
   *
   * @param limit of this subject. Default: that of all.
   * @returns `false` when they are not there.
   */
  take(subject: string, amount: number, now: number, from = now, limit = this.limit): boolean {
    const key = subjectKey(subject);
    const bucket = this.buckets.get(key);
    const after = limit.take(bucket?.fullAt ?? from, amount, now, from);
    if (after === undefined) return false;
    this.keep(key, bucket, after, now);
    return true;
  }

  /** Takes tokens whether they are there or not, as {@link RateLimit.draw} does. */
  draw(subject: string, amount: number, now: number): void {
    const key = subjectKey(subject);
    const bucket = this.buckets.get(key);
    this.keep(key, bucket, this.limit.draw(bucket?.fullAt ?? now, amount, now), now);
  }

  /** Milliseconds until `amount` tokens are there. */
  waitFor(subject: string, amount: number, now: number, limit = this.limit): number {
    return limit.waitFor(this.buckets.get(subjectKey(subject))?.fullAt ?? now, amount, now);
  }

  /** Milliseconds until the subject is no longer in debt; 0 when it is not. */
  debtMs(subject: string, now: number): number {
    const bucket = this.buckets.get(subjectKey(subject));
    return bucket === undefined ? 0 : this.limit.debtMs(bucket.fullAt, now);
  }

  private keep(key: string, bucket: Bucket | undefined, fullAt: number, now: number): void {
    if (bucket !== undefined) {
      bucket.fullAt = fullAt;
      return;
    }
    if (this.buckets.size >= this.sweepAt) this.sweep(now);
    this.buckets.set(key, { fullAt });
  }

  private sweep(now: number): void {
    for (const [subject, { fullAt }] of this.buckets) if (fullAt <= now) this.buckets.delete(subject);
    for (const subject of this.buckets.keys()) {
      if (this.buckets.size <= this.capacity * KEPT) break;
      this.buckets.delete(subject);
    }
    // Doubling keeps the cost of sweeping per new subject constant, however many are active at once.
    this.sweepAt = Math.min(this.capacity, Math.max(FIRST_SWEEP, this.buckets.size * 2));
  }
}

/** As what a subject is kept, by its name: never longer than 64 characters. */
export function subjectKey(subject: string): string {
  return subject.length <= MAX_KEY_LENGTH ? subject : hash('sha1', subject, 'base64');
}
