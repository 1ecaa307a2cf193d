import type { Clock } from '../ports/clock.js';

/** A timer that is later than this, in milliseconds, was kept from running: so long did the process stand still. */
const STALL_MS = 500;
/** Longest time of a stall that clients are credited, in milliseconds. */
const MAX_CREDIT_MS = 10_000;

/**
 * Knows when this process stood still, by a timer that was late: what clients sent in time is read all at once then, and must not
 * be taken for a flood (G16).
 */
export class Stalls {
  private startedAt = 0;
  private creditUntil = Number.NEGATIVE_INFINITY;

  constructor(private readonly clock: Pick<Clock, 'monotonic'>) {}

  /** A timer ran that was due at this monotonic time. @returns whether the process stood still. */
  noteTimer(dueAt: number): boolean {
    const now = this.clock.monotonic();
    const lateMs = now - dueAt;
    if (lateMs < STALL_MS) return false;
    this.startedAt = now - Math.min(lateMs, MAX_CREDIT_MS);
    // What waited in the sockets is read in several turns.
    this.creditUntil = now + Math.min(Math.max(lateMs, 1_000), MAX_CREDIT_MS);
    return true;
  }

  /** Since when the process has read too late, as a monotonic time: `now` where it has not. */
  since(now: number): number {
    return now < this.creditUntil ? Math.min(this.startedAt, now) : now;
  }
}
