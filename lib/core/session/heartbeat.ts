import type { Timed, TimerWheel } from '../async/timer-wheel.js';
import type { Scheduled } from '../ports/clock.js';
import type { ClosableSession } from '../ports/connection.js';
import type { EngineSettings } from '../ports/settings.js';

/** A session as its heartbeat sees it. */
export interface HeartbeatSession extends ClosableSession {
  /** With the {@link TimerWheel.stamp} of the last frame that was sent. */
  readonly outbox: { readonly sentStamp: number };
  readonly reading: { takePause(): boolean };
  sendPing(): void;
}

/**
 * Liveness of one connection (P8): a ping when for `intervalMs` nothing was sent to, or nothing received from, the
 * client; the end when no frame at all came within `timeoutMs` after it.
 */
export class Heartbeat implements Timed {
  private receivedStamp: number;
  private pingStamp: number | undefined;
  private timer: Scheduled | undefined;
  private started = false;

  constructor(
    private readonly wheel: TimerWheel,
    private readonly options: EngineSettings['heartbeat'],
    private readonly session: HeartbeatSession,
  ) {
    this.receivedStamp = wheel.stamp;
  }

  /** @param random 0 to 1, the place of the first ping in the interval: a restart must not synchronise all clients. */
  start(random: number): void {
    this.receivedStamp = this.wheel.stamp;
    this.next(this.options.intervalMs * random);
  }

  /** Any frame is a sign of life. */
  received(): void {
    this.receivedStamp = this.wheel.stamp;
    this.pingStamp = undefined;
  }

  /** Whether a `pong` is expected. */
  get awaitsPong(): boolean {
    return this.pingStamp !== undefined;
  }

  stop(): void {
    this.timer?.cancel();
  }

  onTimer(): void {
    const { wheel, options } = this;
    if (!this.started) {
      this.started = true;
      return this.ping();
    }
    if (this.pingStamp !== undefined) {
      const waited = wheel.since(this.pingStamp);
      if (waited < options.timeoutMs) return this.next(options.timeoutMs - waited);
      // Of a client that we did not read from all the time the answer may wait to be read: its silence proves nothing.
      if (!this.session.reading.takePause()) return this.session.close('heartbeat_timeout');
      this.received();
      return this.next(options.intervalMs);
    }
    const quietMs = Math.max(wheel.since(this.session.outbox.sentStamp), wheel.since(this.receivedStamp));
    if (quietMs >= options.intervalMs) this.ping();
    else this.next(options.intervalMs - quietMs);
  }

  private ping(): void {
    this.pingStamp = this.wheel.stamp;
    this.session.reading.takePause();
    this.next(this.options.timeoutMs);
    // Last: it may be one message too many for the client, and the end of the session then stops the timer.
    this.session.sendPing();
  }

  private next(delayMs: number): void {
    this.timer = this.wheel.schedule(delayMs, this);
  }
}
