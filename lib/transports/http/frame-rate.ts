import type { Clock } from '../../core/ports/clock.js';
import type { TransportHost } from '../../core/ports/transport-host.js';

/** Credit is counted in these, so that it is a whole number: V8 makes an object for each field that holds a fraction. */
const PARTS_PER_FRAME = 1_000;

/** What is kept for one client; only the {@link FrameRate} changes it. */
export interface Rated {
  /** What may still come before the clock is looked at, in {@link PARTS_PER_FRAME}; negative for a debt. */
  credit: number;
  /** Whole milliseconds of the clock that never jumps. */
  paidAt: number;
}

/** The rate of frames of each client (G16), whatever a transport counts as one. */
export class FrameRate {
  constructor(
    private readonly rate: Pick<TransportHost['frames'], 'perSecond' | 'burst'>,
    private readonly clock: Clock,
  ) {}

  /** Begins to count what a client sends. */
  begin(client: Rated): void {
    client.credit = this.rate.burst * PARTS_PER_FRAME;
    client.paidAt = Math.floor(this.clock.monotonic());
  }

  /** @returns 0 within the rate; otherwise milliseconds until they are paid, `Infinity` when they are more than another burst. */
  take(client: Rated, frames: number): number {
    const cost = frames * PARTS_PER_FRAME;
    client.credit -= cost;
    return client.credit >= 0 ? 0 : this.settle(client, cost);
  }

  private settle(client: Rated, cost: number): number {
    const { perSecond } = this.rate;
    const burst = this.rate.burst * PARTS_PER_FRAME;
    const now = Math.floor(this.clock.monotonic());
    // A thousandth of a second, a thousandth of a frame.
    const regained = (now - client.paidAt) * perSecond;
    client.credit = Math.min(burst, client.credit + cost + regained) - cost;
    client.paidAt = now;
    if (client.credit >= 0) return 0;
    return -client.credit > burst ? Number.POSITIVE_INFINITY : -client.credit / perSecond;
  }
}
