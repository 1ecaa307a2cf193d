import type { Clock, Scheduled } from '../../core/ports/clock.js';

/** The time of a store: whole milliseconds of the clock that never jumps, so that what ends together ends at one instant. */
export function timeOf(clock: Clock): number {
  return Math.floor(clock.monotonic());
}

/**
 * One timer for what must be noticed at its exact time.
 *
 * The core's timer wheel does not fit: it is late by up to a tick, and a diff must not come later than its lease says.
 */
export class DueTimer {
  private timer: Scheduled | undefined;
  private timerAt = Infinity;
  private running = false;

  /**
   * @param next When something ends next, as {@link timeOf}; `Infinity` for never.
   * @param onDue Called then; ends what is due.
   */
  constructor(
    private readonly clock: Clock,
    private readonly next: () => number,
    private readonly onDue: () => void,
  ) {}

  /** Starts the timer. */
  start(): void {
    this.running = true;
    this.arm();
  }

  /** Stops the timer until `start`. */
  stop(): void {
    this.running = false;
    this.disarm();
  }

  /** To be called when `next` may have become earlier. */
  arm(): void {
    if (!this.running) return;
    const next = this.next();
    if (next >= this.timerAt) return;
    this.disarm();
    this.timerAt = next;
    // At least 1 ms: the system's timers may fire early by a fraction, and would then fire again and again.
    this.timer = this.clock.schedule(Math.max(1, next - timeOf(this.clock)), () => {
      this.disarm();
      this.onDue();
      this.arm();
    });
  }

  private disarm(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.timerAt = Infinity;
  }
}
