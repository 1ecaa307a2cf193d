import { exponentialDelay } from '../backoff.js';
import type { ChannelHost } from './host.js';

/** How long a channel waits before it subscribes again; what lasted begins a new count (P19). */
export class RetryCounter {
  private retries = 0;
  private since = Infinity;

  constructor(private readonly host: Pick<ChannelHost, 'clock' | 'random' | 'retry'>) {}

  /** Whether the last `next` was the first of its count. */
  get isFirst(): boolean {
    return this.retries === 1;
  }

  reset(): void {
    this.retries = 0;
    this.since = Infinity;
  }

  /** The subscription holds from now on. */
  began(): void {
    this.since = this.host.clock.now();
  }

  /** The subscription holds no longer. */
  ended(): void {
    if (this.host.clock.now() - this.since >= this.host.retry().stableMs) this.retries = 0;
    this.since = Infinity;
  }

  /** Milliseconds until the next try. */
  next(): number {
    this.ended();
    return exponentialDelay(this.host.retry(), this.retries++, this.host.random);
  }
}
