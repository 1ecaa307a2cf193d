import type { Clock, Scheduled } from '../ports/clock.js';
import type { Connection } from '../ports/connection.js';

/** Why the engine does not read from a client. */
export type PauseReason = 'in_flight' | 'throttle';

const BIT: Readonly<Record<PauseReason, number>> = { in_flight: 1, throttle: 2 };

/** Stops reading while at least one reason holds: the client is slowed down by its own socket. */
export class ReadingPause {
  /** One bit per reason: every session has one of these. */
  private reasons = 0;
  private timer: Scheduled | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly clock: Clock,
  ) {}

  get isPaused(): boolean {
    return this.reasons !== 0;
  }

  pause(reason: PauseReason): void {
    const before = this.reasons;
    this.reasons |= BIT[reason];
    if (before === 0) this.connection.pause();
  }

  resume(reason: PauseReason): void {
    if (this.reasons === 0) return;
    this.reasons &= ~BIT[reason];
    if (this.reasons === 0) this.connection.resume();
  }

  /** Pauses for a time, in milliseconds. @returns `false` when such a pause is under way already. */
  throttle(forMs: number): boolean {
    if (this.timer !== undefined) return false;
    this.pause('throttle');
    this.timer = this.clock.schedule(forMs, () => {
      this.timer = undefined;
      this.resume('throttle');
    });
    return true;
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
    // The closing handshake must still be read.
    if (this.isPaused) this.connection.resume();
    this.reasons = 0;
  }
}
