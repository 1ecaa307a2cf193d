import type { RetryPolicy } from '../protocol/messages.js';
import type { ClientClock } from './clock.js';

/** The policy until the first `welcome` announces the server's own. */
export const DEFAULT_RETRY: RetryPolicy = {
  baseMs: 500,
  maxMs: 20_000,
  firstSpreadMs: 2_000,
  stableMs: 10_000,
};

/** When to come back, as the server advised in `bye`, in a close reason or in `Retry-After`. */
export interface Advice {
  readonly retryAfterMs: number;
  /** Clients spread themselves over this long after `retryAfterMs`. Default the policy's `firstSpreadMs`. */
  readonly spreadMs?: number;
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

/**
 * How long to wait before the next attempt to connect (P19). Retries count until a connection proved stable: if a
 * connect or a drain reset the count, a fleet whose connections flap would storm the server.
 */
export class Backoff {
  private policy: RetryPolicy = DEFAULT_RETRY;
  private retries = 0;

  constructor(private readonly random: () => number) {}

  /** Attempts to connect since the last stable connection, the running one included. */
  get attempt(): number {
    return this.retries + 1;
  }

  /** Adopts the policy of a `welcome`. */
  adopt(policy: RetryPolicy): void {
    this.policy = policy;
  }

  /** Called after `stableMs` of a live connection, and when the application calls `connect()`. */
  reset(): void {
    this.retries = 0;
  }

  /**
   * @param lost Whether a live connection was lost; otherwise none was made.
   * @param prompt Whether only this client is concerned, as after a change of its network: then it need not wait.
   * @returns Milliseconds to wait.
   */
  next(lost: boolean, advice?: Advice, prompt = false): number {
    const { policy, random } = this;
    const retry = this.retries++;
    const delay = exponentialDelay(policy, retry, random);
    if (advice === undefined && prompt) return 0;
    if (advice === undefined) return retry === 0 && lost ? random() * policy.firstSpreadMs : delay;
    const advised = advice.retryAfterMs + random() * (advice.spreadMs ?? policy.firstSpreadMs);
    return retry === 0 ? advised : Math.max(advised, delay);
  }
}

/** What {@link ChannelBackoff} needs. */
export interface ChannelBackoffDeps {
  readonly clock: ClientClock;
  readonly random: () => number;
  /** The policy that the server announced last. */
  readonly retry: () => RetryPolicy;
}

/** How long a channel waits before it subscribes again. A subscription that lasted resets the count (P19). */
export class ChannelBackoff {
  private retries = 0;
  private since = Infinity;

  constructor(private readonly deps: ChannelBackoffDeps) {}

  /** Whether the last {@link next} was the first of its count. */
  get isFirst(): boolean {
    return this.retries === 1;
  }

  reset(): void {
    this.retries = 0;
    this.since = Infinity;
  }

  /** The channel is subscribed from now on. */
  began(): void {
    this.since = this.deps.clock.monotonic();
  }

  /** The channel is no longer subscribed. */
  ended(): void {
    if (this.deps.clock.monotonic() - this.since >= this.deps.retry().stableMs) this.retries = 0;
    this.since = Infinity;
  }

  /**
   * Milliseconds until the next attempt. The first advice of a count stands alone; a channel that the server ends again
   * and again comes back more slowly.
   */
  next({ retryAfterMs, spreadMs = 0 }: Advice = { retryAfterMs: 0 }): number {
    const { random, retry } = this.deps;
    this.ended();
    const delay = exponentialDelay(retry(), this.retries++, random);
    const advised = retryAfterMs + random() * spreadMs;
    return this.isFirst && retryAfterMs + spreadMs > 0 ? advised : Math.max(advised, delay);
  }
}
