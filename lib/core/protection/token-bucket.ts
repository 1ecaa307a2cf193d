/** Admits a sustained rate with a burst (G16). Holds two numbers; time is given, not taken. */
export class TokenBucket {
  private tokens: number;
  private at: number;

  /** @param ratePerSecond tokens a second. @param burst most tokens saved up. */
  constructor(
    private readonly ratePerSecond: number,
    private readonly burst: number,
    now: number,
  ) {
    this.tokens = burst;
    this.at = now;
  }

  /** Takes `amount` tokens when they are there. */
  take(amount: number, now: number): boolean {
    this.refill(now);
    if (this.tokens < amount) return false;
    this.tokens -= amount;
    return true;
  }

  /** Milliseconds until `amount` tokens are there. */
  waitFor(amount: number, now: number): number {
    this.refill(now);
    return Math.max(0, ((Math.min(amount, this.burst) - this.tokens) / this.ratePerSecond) * 1000);
  }

  /** Whether nothing was taken for long enough that the bucket is full again: it may be forgotten. */
  isFull(now: number): boolean {
    this.refill(now);
    return this.tokens >= this.burst;
  }

  private refill(now: number): void {
    // A clock that was set back must not take tokens away.
    if (now > this.at)
      this.tokens = Math.min(this.burst, this.tokens + ((now - this.at) / 1000) * this.ratePerSecond);
    this.at = now;
  }
}
