import type { Clock } from '../ports/clock.js';

/** What a part may take of the time that is left, in milliseconds. */
export interface Share {
  /** Default: all. */
  readonly mostMs?: number;
  /** What is kept for those that come behind it. Default 0. */
  readonly keepMs?: number;
  /** What it gets in any case, also when the time is over. Default 0. */
  readonly leastMs?: number;
}

/** One moment by which work has to end, on the monotonic clock. Handed down, so that its parts together take no longer. */
export class TimeLeft {
  private readonly endsAt: number;

  constructor(
    private readonly clock: Pick<Clock, 'monotonic' | 'schedule'>,
    ms: number,
  ) {
    this.endsAt = clock.monotonic() + ms;
  }

  /** Milliseconds until then; 0 when it is over. */
  get ms(): number {
    return Math.max(0, this.endsAt - this.clock.monotonic());
  }

  /** The time of a part that begins now. */
  share({ mostMs = Infinity, keepMs = 0, leastMs = 0 }: Share): TimeLeft {
    return new TimeLeft(this.clock, Math.max(leastMs, Math.min(mostMs, this.ms - keepMs)));
  }

  /**
   * Waits for work, and not longer.
   *
   * @returns `false` when the time was over first; a later failure of the work is ignored.
   */
  wait(work: Promise<unknown>): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const timer = this.clock.schedule(this.ms, () => resolve(false));
      void work.then(() => resolve(true), reject).finally(() => timer.cancel());
    });
  }
}
