import type { RetryPolicy } from '../protocol/messages.js';
import type { ClientClock } from './clock.js';

/** The policy until the first `welcome` announces the server's own. */
export const DEFAULT_RETRY: RetryPolicy = {
  baseMs: 500,
  maxMs: 20_000,
  firstSpreadMs: 2_000,
  stableMs: 10_000,
};

/** When to come back, as the server advised in `bye`, in a close reason, in an error or in `Retry-After`. */
export interface Advice {
  readonly retryAfterMs: number;
  /** Clients spread themselves over this long after `retryAfterMs`. Default the policy's `firstSpreadMs`. */
  readonly spreadMs?: number;
}

/** The advice of a loss that nobody announced: all clients of a node may have had it, so they spread themselves. */
export const LOSS: Advice = { retryAfterMs: 0 };

/** What a server says of a wait; `undefined` where it says nothing. In milliseconds. */
export function adviceOf(retryAfterMs: number, spreadMs: number): Advice | undefined {
  return retryAfterMs + spreadMs > 0 ? { retryAfterMs, spreadMs } : undefined;
}

/**
 * Exponential backoff with full jitter: uniform between 0 and `baseMs × 2^retry`, at most `maxMs` (P19).
 *
 * @param retry 0 for the first retry.
 * @returns Milliseconds.
 */
export function exponentialDelay(policy: RetryPolicy, retry: number, random: () => number): number {
  // The exponent is capped: 2 ** 1100 is Infinity, and Infinity × 0 is not a delay.
  return random() * Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(retry, 30));
}

/** What {@link Backoff} needs. */
export interface BackoffDeps {
  readonly clock: ClientClock;
  readonly random: () => number;
  /** The policy that the server announced last. */
  readonly retry: () => RetryPolicy;
}

/**
 * How long to wait before the next attempt to connect, or to subscribe (P19). Retries count until one proved stable: if a connect
 * or a drain reset the count, a fleet whose connections flap would storm the server.
 */
export class Backoff {
  private retries = 0;
  private since = Infinity;

  constructor(private readonly deps: BackoffDeps) {}

  /** Attempts since the last that lasted, the running one included. */
  get attempt(): number {
    return this.retries + 1;
  }

  /** The application begins again. */
  reset(): void {
    this.retries = 0;
    this.since = Infinity;
  }

  /** It is connected, or subscribed, from now on. */
  began(): void {
    this.since = this.deps.clock.monotonic();
  }

  /** It is no longer. */
  ended(): void {
    if (this.deps.clock.monotonic() - this.since >= this.deps.retry().stableMs) this.retries = 0;
    this.since = Infinity;
  }

  /**
   * Whole milliseconds until the next attempt. The first advice of a count stands alone; who is sent away again and again comes back more
   * slowly.
   */
  next(advice?: Advice): number {
    const { random } = this.deps;
    const policy = this.deps.retry();
    this.ended();
    const delay = exponentialDelay(policy, this.retries++, random);
    if (advice === undefined) return Math.round(delay);
    const advised = advice.retryAfterMs + random() * (advice.spreadMs ?? policy.firstSpreadMs);
    return Math.round(this.retries === 1 ? advised : Math.max(advised, delay));
  }
}
