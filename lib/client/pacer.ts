import type { ClientClock } from './clock.js';

/** Tokens: what a sum of fractions may lack of a whole one, so that a publish that waited `waitMs` gets its token. */
const ROUNDING = 1e-9;

/**
 * A token bucket for the server's `ratePerSecond` (P17): it holds one second's worth and refills evenly. Publishes wait
 * for a token; other commands only count, so that a user's click does not queue behind a backlog.
 */
export class Pacer {
  private rate = Infinity;
  private tokens = Infinity;
  private filledAt = 0;

  constructor(private readonly clock: ClientClock) {}

  /** Adopts the limit of a new connection, whose bucket on the server is full. 0 is no limit. */
  adopt(ratePerSecond: number): void {
    this.rate = ratePerSecond > 0 ? ratePerSecond : Infinity;
    this.tokens = Math.max(1, this.rate);
    this.filledAt = this.clock.monotonic();
  }

  /** Takes a token if there is one. */
  take(): boolean {
    this.refill();
    if (this.tokens < 1 - ROUNDING) return false;
    this.tokens -= 1;
    return true;
  }

  /** Counts a command that did not wait. The debt is bounded: one second. */
  spend(): void {
    this.refill();
    this.tokens = Math.max(-this.rate, this.tokens - 1);
  }

  /** Milliseconds until {@link take} succeeds. */
  get waitMs(): number {
    this.refill();
    const lacking = 1 - this.tokens;
    return lacking <= ROUNDING ? 0 : Math.ceil((lacking * 1_000) / this.rate);
  }

  private refill(): void {
    if (this.rate === Infinity) return;
    const now = this.clock.monotonic();
    const burst = Math.max(1, this.rate);
    this.tokens = Math.min(burst, this.tokens + (Math.max(0, now - this.filledAt) * this.rate) / 1_000);
    this.filledAt = now;
  }
}
