import type { Clock, Scheduled } from '../ports/clock.js';
import type { Connection } from '../ports/connection.js';

// Why the engine does not read from a client, a bit each: every session has one of these.
const IN_FLIGHT = 1;
const THROTTLED = 2;
const HELD = 4;
const AWAITS_TURN = 8;
const WITHIN_MESSAGE = 16;
const PUT_BACK = 32;
const ALL = IN_FLIGHT | THROTTLED | HELD | AWAITS_TURN | WITHIN_MESSAGE | PUT_BACK;
/** No reason: it has paused since {@link ReadingPause.takePause} was called. */
const HAS_PAUSED = 64;

export interface ReadingPauseDeps {
  readonly clock: Clock;
  readonly settings: { readonly limits: { readonly maxInFlight: number } };
}

/** Stops reading while there is a reason to: the client is slowed down by its own socket (G16). */
export class ReadingPause {
  private reasons = 0;
  private timer: Scheduled | undefined;
  private stopped = false;
  /** Commands that are under way. */
  inFlight = 0;

  constructor(
    private readonly connection: Connection,
    private readonly deps: ReadingPauseDeps,
  ) {}

  get isPaused(): boolean {
    return (this.reasons & ALL) !== 0;
  }

  /** @returns whether reading has paused since this was called last, or pauses now: what the client sent may have yet to be read. */
  takePause(): boolean {
    const hasPaused = this.reasons !== 0;
    this.reasons &= ALL;
    return hasPaused;
  }

  /** A command is under way. At the bound, reading pauses until half of them are done. */
  begin(): void {
    this.inFlight++;
    if (this.inFlight >= this.deps.settings.limits.maxInFlight) this.pause(IN_FLIGHT);
  }

  /** A command is done. @param waiting those that waited for it start before the bound is looked at again. */
  done(waiting?: { startNext(): void }): void {
    this.inFlight--;
    waiting?.startNext();
    if (this.inFlight <= this.deps.settings.limits.maxInFlight / 2) this.resume(IN_FLIGHT);
  }

  /** Pauses until {@link endHold}. */
  hold(): void {
    this.pause(HELD);
  }

  endHold(): void {
    this.resume(HELD);
  }

  /** Pauses until {@link endHoldForTurn}: what was sent waits for a turn of the event loop. */
  holdForTurn(): void {
    this.pause(AWAITS_TURN);
  }

  endHoldForTurn(): void {
    this.resume(AWAITS_TURN);
  }

  /** Pauses until {@link endHoldWithin}: the rest of a large message is read in turns. @returns `false` where it does already. */
  holdWithin(): boolean {
    if ((this.reasons & WITHIN_MESSAGE) !== 0) return false;
    this.pause(WITHIN_MESSAGE);
    return true;
  }

  endHoldWithin(): void {
    this.resume(WITHIN_MESSAGE);
  }

  /** Pauses until {@link endHoldMuch}: what came at once was put back, and waits for a turn of the event loop. */
  holdMuch(): void {
    this.pause(PUT_BACK);
  }

  endHoldMuch(): void {
    this.resume(PUT_BACK);
  }

  /** Pauses for a time, in milliseconds. @returns `false` when such a pause is under way already. */
  throttle(forMs: number): boolean {
    if (this.timer !== undefined) return false;
    this.pause(THROTTLED);
    this.timer = this.deps.clock.schedule(forMs, () => {
      this.timer = undefined;
      this.resume(THROTTLED);
    });
    return true;
  }

  /** Reads from now on, whatever is still under way. */
  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.timer = undefined;
    // The closing handshake must still be read.
    if (this.isPaused) this.connection.resume();
    this.reasons = 0;
  }

  private pause(reason: number): void {
    if (this.stopped) return;
    const wasPaused = this.isPaused;
    this.reasons |= reason;
    if (!wasPaused) this.connection.pause();
  }

  private resume(reason: number): void {
    if (!this.isPaused) return;
    this.reasons = (this.reasons & ~reason) | HAS_PAUSED;
    if (!this.isPaused) this.connection.resume();
  }
}
