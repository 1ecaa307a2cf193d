import type { Scheduled } from '../ports/clock.js';
import type { Timed, TimerWheel } from '../ports/timer-wheel.js';

export interface HeartbeatOptions {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** What the heartbeat does with its session. */
export interface HeartbeatOwner {
  sendPing(): void;
  onHeartbeatTimeout(): void;
}

/**
 * Liveness of one connection (P8): a ping when for `intervalMs` nothing was sent to, or nothing received from, the
 * client; the end when no frame at all came within `timeoutMs` after it.
 */
export class Heartbeat implements Timed {
  private receivedAt: number;
  private sentAt: number;
  private pingAt: number | undefined;
  private timer: Scheduled | undefined;

  constructor(
    private readonly wheel: TimerWheel,
    private readonly options: HeartbeatOptions,
    private readonly owner: HeartbeatOwner,
  ) {
    this.receivedAt = wheel.coarseNow;
    this.sentAt = wheel.coarseNow;
  }

  /** @param random where in the interval the first ping lies, so that a restart does not synchronise a fleet. */
  start(random: number): void {
    this.receivedAt = this.wheel.coarseNow;
    this.timer = this.wheel.schedule(this.options.intervalMs * random, {
      onTimer: () => this.ping(),
    });
  }

  /** Any frame is a sign of life. */
  received(): void {
    this.receivedAt = this.wheel.coarseNow;
    this.pingAt = undefined;
  }

  sent(): void {
    this.sentAt = this.wheel.coarseNow;
  }

  /** Whether a `pong` is expected. */
  get awaitsPong(): boolean {
    return this.pingAt !== undefined;
  }

  stop(): void {
    this.timer?.cancel();
  }

  onTimer(): void {
    const now = this.wheel.coarseNow;
    if (this.pingAt !== undefined) {
      if (now - this.pingAt < this.options.timeoutMs)
        return this.next(this.pingAt + this.options.timeoutMs - now);
      this.owner.onHeartbeatTimeout();
      // The owner may have let it pass by calling `received`; then the watch goes on.
      if (this.pingAt === undefined) this.next(this.options.intervalMs);
      return;
    }
    const quietSince = Math.min(this.sentAt, this.receivedAt);
    const due = quietSince + this.options.intervalMs;
    if (now >= due) this.ping();
    else this.next(due - now);
  }

  private ping(): void {
    this.owner.sendPing();
    this.pingAt = this.wheel.coarseNow;
    this.sentAt = this.pingAt;
    this.next(this.options.timeoutMs);
  }

  private next(delayMs: number): void {
    this.timer = this.wheel.schedule(delayMs, this);
  }
}
