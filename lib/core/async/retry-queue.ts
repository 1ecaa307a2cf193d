import type { Clock, Scheduled } from '../ports/clock.js';

const RETRY_MS = 500;

/**
 * Work that failed because the broker could not be reached: tried again after half a second, or as soon as the broker is
 * back. With the pause alone, every client would wait for up to half a second more than the outage lasts.
 */
export class RetryQueue {
  private readonly waiting = new Map<() => void, Scheduled>();

  constructor(private readonly clock: Clock) {}

  later(task: () => void): void {
    if (this.waiting.has(task)) return;
    this.waiting.set(
      task,
      this.clock.schedule(RETRY_MS, () => {
        this.waiting.delete(task);
        task();
      }),
    );
  }

  /** Runs all tasks now. One that fails again schedules itself. */
  wake(): void {
    const tasks = [...this.waiting];
    this.waiting.clear();
    for (const [task, timer] of tasks) {
      timer.cancel();
      task();
    }
  }

  close(): void {
    for (const timer of this.waiting.values()) timer.cancel();
    this.waiting.clear();
  }
}
