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
  constructor(
    readonly ratePerSecond: number,
    readonly burst: number,
  ) {
    this.tokenMs = 1000 / ratePerSecond;
    this.burstMs = burst * this.tokenMs;
  }

  /**
   * When the bucket is full again after `amount` tokens are taken from it; `undefined` when they are not there.
   *
   * @param from an earlier time since when tokens were saved up beyond a full bucket: they may be taken now, and are gone later.
   * Default `now`.
   */
  take(fullAt: number, amount: number, now: number, from = now): number | undefined {
    const after = Math.max(fullAt, from) + amount * this.tokenMs;
    return after - now <= this.burstMs + ROUNDING_MS ? after : undefined;
  }

  /**
   * When the bucket is full again after `amount` tokens are taken from it, whether they are there or not: the price of work
   * that is done already. The debt never exceeds twice what the bucket holds, so that no client waits longer for one answer.
   */
  draw(fullAt: number, amount: number, now: number): number {
    return Math.min(Math.max(fullAt, now) + amount * this.tokenMs, now + 3 * this.burstMs);
  }

  /** Milliseconds until a bucket that was overdrawn is no longer in debt; 0 when it is not. */
  debtMs(fullAt: number, now: number): number {
    return Math.max(0, fullAt - now - this.burstMs - ROUNDING_MS);
  }

  /** Milliseconds until `amount` tokens are there, or all that the bucket holds. */
  waitFor(fullAt: number, amount: number, now: number): number {
    const neededMs = Math.min(amount * this.tokenMs, this.burstMs);
    return Math.max(0, Math.max(fullAt, now) + neededMs - this.burstMs - now);
  }
}
