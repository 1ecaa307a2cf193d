import type { ClientClock, ClientTimer } from '../clock.js';

/** A timer that comes later than this was held back: the page slept, or a debugger stopped it. */
const LATE_MS = 1_000;

/**
 * Notices a connection on which nothing is heard for `intervalMs + timeoutMs` (P9). Hearing costs one assignment:
 * a single timer looks, at the earliest moment that could matter, when something was heard last.
 */
export class HeartbeatWatch {
  private heard: number;
  private timer: ClientTimer | undefined;

  constructor(
    private readonly clock: ClientClock,
    private readonly heartbeat: { readonly intervalMs: number; readonly timeoutMs: number },
    private readonly events: {
      /** The timer came late: what arrived meanwhile may still wait to be read, so the server is asked. */
      doubt(): void;
      dead(): void;
    },
  ) {
    this.heard = clock.now();
    this.look(this.silence);
  }

  /** Something came: any frame is a sign of life. */
  sign(): void {
    this.heard = this.clock.now();
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  private get silence(): number {
    return this.heartbeat.intervalMs + this.heartbeat.timeoutMs;
  }

  private look(delayMs: number, doubted = false): void {
    const due = this.clock.now() + delayMs;
    this.timer = this.clock.schedule(delayMs, () => {
      const now = this.clock.now();
      const left = this.heard + this.silence - now;
      if (left > 0) {
        this.look(left);
      } else if (!doubted && now - due > LATE_MS) {
        this.look(this.heartbeat.timeoutMs, true);
        this.events.doubt();
      } else {
        this.events.dead();
      }
    });
  }
}
