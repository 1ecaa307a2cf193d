import type { RetryPolicy } from '../protocol/messages.js';

/** What is assumed until the first `welcome` announces the server's own policy. */
export const DEFAULT_RETRY: RetryPolicy = {
  baseMs: 500,
  maxMs: 20_000,
  firstSpreadMs: 2_000,
  stableMs: 10_000,
};

/** When to come back, as the server advised in `bye`, in a close reason or in `Retry-After`. */
export interface Advice {
  readonly retryAfterMs: number;
  /** Clients spread themselves over this long after `retryAfterMs`; the policy's `firstSpreadMs` when left out. */
  readonly spreadMs?: number;
}

/**
 * Exponential with full jitter: uniform between 0 and `baseMs × 2^retry`, at most `maxMs` (P19).
 *
 * @param retry 0 for the first retry.
 */
export function exponentialDelay(policy: RetryPolicy, retry: number, random: () => number): number {
  // The exponent is capped: 2 ** 1100 is Infinity, and Infinity × 0 is not a delay.
  return random() * Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(retry, 30));
}

/**
 * How long to wait before the next attempt to connect (P19). Counts retries until a connection proved stable:
 * neither a successful connect nor a drain resets it, or a fleet that flaps would be stormed.
 */
export class Backoff {
  private policy: RetryPolicy = DEFAULT_RETRY;
  private retries = 0;

  constructor(private readonly random: () => number) {}

  /** Attempts to connect since the last stable connection, the running one included. */
  get attempt(): number {
    return this.retries + 1;
  }

  /** Takes over the policy of a `welcome`. */
  adopt(policy: RetryPolicy): void {
    this.policy = policy;
  }

  /** Called after `stableMs` of a live connection, and when the application connects anew. */
  reset(): void {
    this.retries = 0;
  }

  /**
   * @param lost Whether a live connection was lost, rather than none made.
   * @returns Milliseconds to wait.
   */
  next(lost: boolean, advice?: Advice): number {
    const retry = this.retries++;
    if (advice !== undefined) {
      const spread = advice.spreadMs ?? this.policy.firstSpreadMs;
      const advised = advice.retryAfterMs + this.random() * spread;
      return retry === 0 ? advised : Math.max(advised, exponentialDelay(this.policy, retry, this.random));
    }
    if (retry === 0 && lost) return this.random() * this.policy.firstSpreadMs;
    return exponentialDelay(this.policy, retry, this.random);
  }
}
