import type { Clock, Scheduled } from '../ports/clock.js';
import type { FlushableChannel, FlushScheduler } from '../outbox/flush-scheduler.js';

/** How long events of a channel of low priority wait for newer ones that replace them, in milliseconds (P34c). */
export const HELD_MS = 1_000;

/**
 * Channels of low priority, whose events an overloaded node thins out (G33): it hands on what is newest, once a second. While it
 * is not overloaded, they are channels like all others.
 */
export class LowPriority {
  private holding = false;
  private readonly waiting = new Set<FlushableChannel>();
  private timer: Scheduled | undefined;

  constructor(
    private readonly clock: Pick<Clock, 'schedule'>,
    private readonly scheduler: Pick<FlushScheduler, 'channel'>,
  ) {}

  /** Whether events wait for newer ones. */
  get isHolding(): boolean {
    return this.holding;
  }

  /** Begins, or ends and hands on what waits. */
  change(isHolding: boolean): void {
    this.holding = isHolding;
    if (!isHolding) this.release();
  }

  /** A channel has its first event that waits. */
  hold(channel: FlushableChannel): void {
    this.waiting.add(channel);
    this.timer ??= this.clock.schedule(HELD_MS, () => this.release());
  }

  /** The node no longer serves the channel. */
  forget(channel: FlushableChannel): void {
    this.waiting.delete(channel);
    if (this.waiting.size === 0) this.close();
  }

  close(): void {
    this.waiting.clear();
    this.timer?.cancel();
    this.timer = undefined;
  }

  private release(): void {
    const channels = [...this.waiting];
    this.close();
    for (const channel of channels) this.scheduler.channel(channel);
  }
}
