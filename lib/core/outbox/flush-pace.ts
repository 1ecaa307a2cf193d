/** Flushes shorter than this, in milliseconds, are followed by no pause. */
const SHORT_MS = 1;
/** Flushes in a row that new events had to wait for, before there are pauses. */
const STREAK = 3;
/** How many times its own length a short flush is followed by a pause: it then takes a quarter of the loop. */
const REST = 3;
/** Most flushes after which a pause that gained nothing is tried again. */
const MAX_PATIENCE = 1_024;

/**
 * Decides how long events wait for more before they are written (hot path 2). Nothing waits while the node keeps up. Where
 * events arrive faster than they can be written one by one, each flush is followed by a pause ({@link restAfter}), so that
 * more of them share a write: load then raises throughput, at the price of a bounded delay. Where pauses gather nothing,
 * because the publishers wait for the delivery first, they are left out for a number of flushes.
 */
export class FlushPace {
  private endedAt = -Infinity;
  private lengthMs = 0;
  private streak = 0;
  /** Flushes left in which no pause is tried, and how many there are after the next that gains nothing. */
  private resting = 0;
  private patience = 32;

  /** @param maxDelayMs half of what an event waits at most, in milliseconds; 0 for no pauses at all. */
  constructor(private readonly maxDelayMs: number) {}

  /** How long events that arrive now should wait, in milliseconds. */
  pauseAt(now: number): number {
    const gap = now - this.endedAt;
    if (this.lengthMs < SHORT_MS || gap >= this.lengthMs / 2) this.streak = 0;
    else this.streak++;
    if (this.streak < STREAK || this.maxDelayMs === 0) return 0;
    if (this.resting > 0) {
      this.resting--;
      return 0;
    }
    return Math.max(0, restAfter(this.lengthMs, this.maxDelayMs) - gap);
  }

  /** Called after a pause. @param gained whether more events arrived in it. */
  paused(gained: boolean): void {
    if (gained) {
      this.patience = 32;
      return;
    }
    this.resting = this.patience;
    this.patience = Math.min(this.patience * 2, MAX_PATIENCE);
  }

  /** Called after a flush, with its monotonic times in milliseconds. */
  flushed(startedAt: number, endedAt: number): void {
    this.lengthMs = endedAt - startedAt;
    this.endedAt = endedAt;
  }
}

/**
 * Three times the length while that is within the bound; then less the longer flushes are, for what waits in a pause also waits
 * for two flushes: the last one, which it came too late for, and its own. So no event waits longer than twice the bound while
 * the node can carry its load, and a node at its limit does not rest at all.
 */
function restAfter(lengthMs: number, maxDelayMs: number): number {
  return Math.min(lengthMs * REST, ((maxDelayMs - lengthMs) * REST) / (REST - 1));
}
