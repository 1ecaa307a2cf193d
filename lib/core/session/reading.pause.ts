import type { Clock, Scheduled } from '../ports/clock.js';
import type { Connection } from './connection.js';

/** Why the engine does not read from a client. */
export type PauseReason = 'in_flight' | 'throttle';

/** Stops reading while at least one reason holds: the client is slowed down by its own socket. */
export class ReadingPause {
  private readonly reasons = new Set<PauseReason>();
  private timer: Scheduled | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly clock: Clock,
  ) {}

  get isPaused(): boolean {
    return this.reasons.size > 0;
  }

  pause(reason: PauseReason): void {
    this.reasons.add(reason);
    if (this.reasons.size === 1) this.connection.pause();
  }

  resume(reason: PauseReason): void {
    if (this.reasons.delete(reason) && this.reasons.size === 0) this.connection.resume();
  }

  /** Pauses for a time, in milliseconds. */
  throttle(forMs: number): void {
    if (this.timer !== undefined) return;
    this.pause('throttle');
    this.timer = this.clock.schedule(forMs, () => {
      this.timer = undefined;
      this.resume('throttle');
    });
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
    // The closing handshake must still be read.
    if (this.isPaused) this.connection.resume();
    this.reasons.clear();
  }
}
