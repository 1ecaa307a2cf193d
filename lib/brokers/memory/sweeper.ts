import type { Scheduled } from '../../core/ports/clock.js';
import type { MemoryChannel } from './channel.js';
import type { MemoryStoreSettings } from './options.js';

/** Steps in which every channel is looked at once. */
const STEPS_PER_ROUND = 12;
const MIN_CHANNELS_PER_STEP = 500;
/** Size of the sample whose longest unused channel is forgotten; so no order of all channels need be kept. */
const SAMPLE = 16;

/**
 * Forgets events and ids that have ended, and unused channels, on one timer for all channels. Each step looks at a part of
 * them, so that many channels never block the event loop for long.
 */
export class MemorySweeper {
  private timer: Scheduled | undefined;
  private running = false;
  private hand: IterableIterator<MemoryChannel> | undefined;

  constructor(
    private readonly channels: Map<string, MemoryChannel>,
    private readonly settings: MemoryStoreSettings,
    /** Number of channels without a subscriber. */
    private readonly idle: () => number,
  ) {}

  start(): void {
    this.running = true;
    this.wake();
  }

  stop(): void {
    this.running = false;
    this.timer?.cancel();
    this.timer = undefined;
  }

  /** To be called when a channel was made: without any there is no timer. */
  wake(): void {
    if (!this.running || this.timer !== undefined || this.channels.size === 0) return;
    this.timer = this.settings.clock.schedule(this.settings.sweepMs, () => {
      this.timer = undefined;
      this.step();
      this.wake();
    });
  }

  /** Makes room for one more channel when too many are idle. */
  makeRoom(): void {
    if (this.idle() < this.settings.maxIdleChannels) return;
    const now = this.settings.clock.now();
    let victim: MemoryChannel | undefined;
    this.visit(SAMPLE, (channel) => {
      channel.trim(now);
      if (channel.isCollectable && channel.usedAt < (victim?.usedAt ?? Infinity)) victim = channel;
    });
    if (victim !== undefined) this.channels.delete(victim.name);
  }

  private step(): void {
    const now = this.settings.clock.now();
    this.visit(
      Math.max(MIN_CHANNELS_PER_STEP, Math.ceil(this.channels.size / STEPS_PER_ROUND)),
      (channel) => {
        channel.trim(now);
        const unused = channel.log.length === 0 && now - channel.usedAt >= this.settings.headMs;
        // A sample of `makeRoom` may have held no channel that could be forgotten; then channels above the bound go here.
        const crowded = this.idle() > this.settings.maxIdleChannels;
        if ((unused || crowded) && channel.isCollectable) this.channels.delete(channel.name);
      },
    );
  }

  /** Continues where the last visit ended, and begins again after the last channel; visits no channel twice. */
  private visit(count: number, look: (channel: MemoryChannel) => void): void {
    for (let left = Math.min(count, this.channels.size); left > 0; left -= 1) {
      let next = this.hand?.next();
      if (next === undefined || next.done === true) {
        this.hand = this.channels.values();
        next = this.hand.next();
      }
      if (next.done === true) return;
      look(next.value);
    }
  }
}
