import type { ClientClock, ClientTimer } from '../clock.js';

/** How often the clock is looked at, to notice that the machine slept or the process stood still. */
const TICK_MS = 2_000;
/** A timer that fires later than this was held back. */
const LATE_MS = 1_000;
/** How long a doubted server, or network, has to answer. */
export const DOUBT_MS = 2_000;

/** What a {@link HeartbeatWatch} needs of its connection. */
export interface HeartbeatEvents {
  /** Sends a ping. @returns Its id. */
  ping(): string;
  /** @param doubted Whether a ping went unanswered; otherwise nothing was heard for `intervalMs + timeoutMs`. */
  dead(doubted: boolean): void;
}

/**
 * Notices a connection on which nothing is heard for `intervalMs + timeoutMs` (P9), and one that does not answer when there
 * is reason to doubt it. A received frame costs one assignment: a timer looks when the last one came.
 */
export class HeartbeatWatch {
  /** Of the last ping that was answered; before one, as the connection set it. */
  roundTripMs: number | undefined;
  private heardAt: number;
  private dueAt = 0;
  private timer: ClientTimer | undefined;
  private doubt: { readonly since: number; readonly id: string } | undefined;
  private readonly silenceMs: number;

  constructor(
    private readonly clock: ClientClock,
    heartbeat: { readonly intervalMs: number; readonly timeoutMs: number },
    private readonly events: HeartbeatEvents,
  ) {
    this.heardAt = clock.monotonic();
    this.silenceMs = heartbeat.intervalMs + heartbeat.timeoutMs;
    this.checkIn(Math.min(TICK_MS, this.silenceMs));
  }

  /** A frame came: any frame is a sign of life. */
  heard(): void {
    this.heardAt = this.clock.monotonic();
  }

  /** A pong came. */
  answered(ref: string | undefined): void {
    const { doubt } = this;
    if (doubt === undefined || ref !== doubt.id) return;
    this.roundTripMs = this.clock.monotonic() - doubt.since;
    this.doubt = undefined;
  }

  /** There is reason to think that the connection is dead: it has {@link DOUBT_MS} to answer a ping. */
  check(): void {
    if (this.doubt !== undefined) return;
    this.doubt = { since: this.clock.monotonic(), id: this.events.ping() };
    this.checkIn(DOUBT_MS);
  }

  stop(): void {
    this.timer?.cancel();
  }

  private checkIn(delayMs: number): void {
    this.timer?.cancel();
    this.dueAt = this.clock.monotonic() + delayMs;
    this.timer = this.clock.schedule(delayMs, () => this.tick());
  }

  private tick(): void {
    const now = this.clock.monotonic();
    const { heardAt, dueAt, silenceMs } = this;
    const isLate = now - dueAt > LATE_MS;
    // What is read right after a sleep may have come long before: only a later frame is a sign of life.
    if (this.doubt !== undefined && heardAt - this.doubt.since > LATE_MS) this.doubt = undefined;
    if (this.doubt !== undefined) {
      const doubted = now - this.doubt.since;
      // Held back again, what came is still unread.
      if (doubted < DOUBT_MS) this.checkIn(DOUBT_MS - doubted);
      else if (isLate && doubted < silenceMs) this.checkIn(LATE_MS);
      else this.events.dead(true);
      return;
    }
    // A hidden page's timers are held back too, but its frames are read.
    const wasAwake = heardAt > dueAt && now - heardAt > LATE_MS;
    const left = heardAt + silenceMs - now;
    if (isLate && !wasAwake) this.check();
    else if (left <= 0) this.events.dead(false);
    else this.checkIn(Math.min(TICK_MS, left));
  }
}
