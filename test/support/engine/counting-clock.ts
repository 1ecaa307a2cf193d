import { systemClock, type Clock, type Scheduled } from '../../../lib/core/ports/clock.js';

/** The system's clock, and how many of its timers wait: what a connection leaves behind shows here. */
export class CountingClock implements Clock {
  private readonly waiting = new Set<Scheduled>();

  get pending(): number {
    return this.waiting.size;
  }

  now(): number {
    return systemClock.now();
  }

  monotonic(): number {
    return systemClock.monotonic();
  }

  schedule(delayMs: number, task: () => void): Scheduled {
    const timer = systemClock.schedule(delayMs, () => {
      this.waiting.delete(scheduled);
      task();
    });
    const scheduled: Scheduled = {
      cancel: () => {
        this.waiting.delete(scheduled);
        timer.cancel();
      },
    };
    this.waiting.add(scheduled);
    return scheduled;
  }
}
