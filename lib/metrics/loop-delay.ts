import type { Clock, Scheduled } from '../core/ports/clock.js';

/** How often a timer is due, in milliseconds. */
const EVERY_MS = 250;

/** Measures how late timers of this process run. A scrape sees sums, so any number of servers may scrape. */
export class LoopDelay {
  private timer: Scheduled | undefined;

  /** @param observe called with each delay, in milliseconds. */
  constructor(
    private readonly clock: Clock,
    private readonly observe: (delayMs: number) => void,
  ) {}

  start(): void {
    const dueAt = this.clock.monotonic() + EVERY_MS;
    this.timer = this.clock.schedule(EVERY_MS, () => {
      this.observe(Math.max(0, this.clock.monotonic() - dueAt));
      this.start();
    });
  }

  stop(): void {
    this.timer?.cancel();
  }
}
