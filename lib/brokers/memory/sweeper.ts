import type { Clock, Scheduled } from '../../core/ports/clock.js';

/**
 * Frees what has ended, on one timer, where no command comes that would. Only memory depends on it: every command first ends
 * what has ended by its time, so no result does.
 */
export class MemorySweeper {
  private timer: Scheduled | undefined;
  private running = false;

  /**
   * @param sweep Frees what has ended.
   * @param isEmpty Whether nothing is left that could end: then there is no timer.
   */
  constructor(
    private readonly clock: Clock,
    private readonly sweepMs: number,
    private readonly sweep: () => void,
    private readonly isEmpty: () => boolean,
  ) {}

  start(): void {
    this.running = true;
    this.wake();
  }

  stop(): void {
    this.running = false;
    this.timer?.cancel();
    this.timer = undefined;
  }

  /** To be called when a channel was made. */
  wake(): void {
    if (!this.running || this.timer !== undefined || this.isEmpty()) return;
    this.timer = this.clock.schedule(this.sweepMs, () => {
      this.timer = undefined;
      this.sweep();
      this.wake();
    });
  }
}
