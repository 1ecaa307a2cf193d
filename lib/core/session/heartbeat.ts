import type { Scheduled } from '../ports/clock.js';
import type { Timed, TimerWheel } from '../async/timer-wheel.js';

export interface HeartbeatOptions {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** What the heartbeat asks of its session. */
export interface HeartbeatOwner {
  /** {@link TimerWheel.stamp} of the last frame that was sent. */
  readonly sentStamp: number;
  sendPing(): void;
  onHeartbeatTimeout(): void;
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
    private readonly options: HeartbeatOptions,
    private readonly owner: HeartbeatOwner,
  ) {
    this.receivedStamp = wheel.stamp;
  }

  /** @param random where in the interval the first ping lies, so that a restart does not synchronise a fleet. */
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
      this.owner.onHeartbeatTimeout();
      // The owner may have let it pass by calling `received`; then the watch goes on.
      if (this.pingStamp === undefined) this.next(options.intervalMs);
      return;
    }
    const quietMs = Math.max(wheel.since(this.owner.sentStamp), wheel.since(this.receivedStamp));
    if (quietMs >= options.intervalMs) this.ping();
    else this.next(options.intervalMs - quietMs);
  }

  private ping(): void {
    this.pingStamp = this.wheel.stamp;
    this.next(this.options.timeoutMs);
    // Last: it may be one message too many for the client, whose end then stops the timer.
    this.owner.sendPing();
  }

  private next(delayMs: number): void {
    this.timer = this.wheel.schedule(delayMs, this);
  }
}
