import type { ClientClock, ClientTimer } from '../clock.js';

/** A timer that fires later than this was held back: the page slept, or a debugger stopped it. */
const LATE_MS = 1_000;

/** What a {@link HeartbeatWatch} reports. */
export interface HeartbeatEvents {
  /** The timer fired late: received frames may still wait to be read, so the server is asked for a sign of life. */
  doubt(): void;
  dead(): void;
}

/**
 * Notices a connection on which nothing is heard for `intervalMs + timeoutMs` (P9). A received frame costs one
 * assignment: a single timer checks, at the earliest moment that could matter, when the last one came.
 */
export class HeartbeatWatch {
  private heardAt: number;
  private timer: ClientTimer | undefined;
  private readonly silenceMs: number;

  constructor(
    private readonly clock: ClientClock,
    private readonly heartbeat: { readonly intervalMs: number; readonly timeoutMs: number },
    private readonly events: HeartbeatEvents,
  ) {
    this.heardAt = clock.monotonic();
    this.silenceMs = heartbeat.intervalMs + heartbeat.timeoutMs;
    this.checkIn(this.silenceMs);
  }

  /** A frame came: any frame is a sign of life. */
  heard(): void {
    this.heardAt = this.clock.monotonic();
  }

  stop(): void {
    this.timer?.cancel();
  }

  private checkIn(delayMs: number, doubted = false): void {
    const due = this.clock.monotonic() + delayMs;
    this.timer = this.clock.schedule(delayMs, () => {
      const now = this.clock.monotonic();
      const left = this.heardAt + this.silenceMs - now;
      if (left > 0) {
        this.checkIn(left);
      } else if (!doubted && now - due > LATE_MS) {
        this.checkIn(this.heartbeat.timeoutMs, true);
        this.events.doubt();
      } else {
        this.events.dead();
      }
    });
  }
}
