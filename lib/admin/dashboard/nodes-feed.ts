import { Inject, Injectable, Logger, Optional, type OnModuleDestroy } from '@nestjs/common';
import { systemClock, type Clock, type Scheduled } from '../../core/ports/clock.js';
import { RealtimeRuntime } from '../../nest/index.js';

/** How often those who look are sent what the nodes count, in milliseconds. */
export const READINGS_EVERY_MS = 1_000;
/** The event of the channel. */
export const READINGS_EVENT = 'readings';
/** Injection token of the clock, for tests. */
export const DASHBOARD_CLOCK = Symbol('REALTIME_DASHBOARD_CLOCK');

/**
 * Publishes what all nodes count and measure to those who look at it on this node, and asks nobody while nobody looks. Where the
 * broker does not deliver, the page sees that nothing comes, and asks by itself.
 */
@Injectable()
export class NodesFeed implements OnModuleDestroy {
  private readonly logger = new Logger('RealtimeAdminModule');
  private watchers = 0;
  private timer: Scheduled | undefined;
  private asking = false;
  private failed = false;

  constructor(
    @Optional() private readonly runtime: RealtimeRuntime,
    @Inject(DASHBOARD_CLOCK) private readonly clock: Clock = systemClock,
  ) {}

  /** The channel of this node. */
  get channel(): string {
    // The id of a node may hold what no name of a channel may.
    return `$nodes.${Buffer.from(this.runtime.config.settings.nodeId).toString('base64url')}`;
  }

  /** Somebody looks. @returns ends that; idempotent. */
  watch(): () => void {
    this.watchers++;
    if (this.watchers === 1) this.next();
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.watchers--;
      if (this.watchers === 0) this.rest();
    };
  }

  onModuleDestroy(): void {
    this.watchers = 0;
    this.rest();
  }

  private rest(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  private next(): void {
    this.timer = this.clock.schedule(READINGS_EVERY_MS, () => {
      this.next();
      // A node that does not answer takes longer than that.
      if (!this.asking) void this.send();
    });
  }

  private async send(): Promise<void> {
    this.asking = true;
    try {
      const { engine } = this.runtime;
      await engine.application.publish(this.channel, READINGS_EVENT, await engine.readings.list());
      this.failed = false;
    } catch (error) {
      if (!this.failed) this.logger.warn(`The dashboard gets no readings: ${String(error)}`);
      this.failed = true;
    } finally {
      this.asking = false;
    }
  }
}
