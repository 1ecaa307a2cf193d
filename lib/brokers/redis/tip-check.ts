import type { Scheduled } from '../../core/ports/clock.js';
import type { Position } from '../../protocol/position.js';
import { tipNotice } from '../common/tip-notice.js';
import type { RedisFeeds } from './feed.js';
import { PROBE_CHANNELS } from './keys.js';
import type { RedisLog } from './log.js';
import type { RedisSettings } from './settings.js';

/** Most channels in one call. */
const BATCH = 100;
/** A message may still be on its way: a channel that seems behind is looked at again after this long. */
const SETTLE_MS = 100;
/** Most missing events that are delivered; of more the node is notified, and its order keeper reads them at its own pace. */
const PAGE = 100;
/** Most channels that are read at a time. */
const MAX_READS = 8;
/** Pause between two batches when many channels are due at once. */
const PACE_MS = 2;

/**
 * Finds events that were published and never arrived, where no later event arrives that would show the gap (G5). Looks at
 * every channel once per interval, a few at a time, and at all of them after a lost connection.
 */
export class RedisTipCheck {
  private readonly due: string[] = [];
  private readonly urgent = new Set<string>();
  private readonly soon = new Set<string>();
  private timer: Scheduled | undefined;
  private soonTimer: Scheduled | undefined;
  private working = false;
  private closed = false;

  constructor(
    private readonly feeds: RedisFeeds,
    private readonly log: RedisLog,
    private readonly settings: RedisSettings,
  ) {}

  close(): void {
    this.closed = true;
    this.timer?.cancel();
    this.soonTimer?.cancel();
  }

  /** Looks at these channels as soon as possible. */
  checkNow(channels: readonly string[]): void {
    for (const channel of channels) this.urgent.add(channel);
    void this.checkUrgent();
  }

  /** Looks at the channel after {@link SETTLE_MS}, together with all others that are asked for until then, to bound the cost. */
  checkSoon(channel: string): void {
    this.soon.add(channel);
    if (this.closed) return;
    this.soonTimer ??= this.settings.clock.schedule(SETTLE_MS, () => {
      this.soonTimer = undefined;
      const channels = [...this.soon];
      this.soon.clear();
      this.checkNow(channels);
    });
  }

  /** Begins to look at every channel once per interval. */
  start(): void {
    const { clock, tipCheckMs, entropy } = this.settings;
    if (this.closed) return;
    const steps = Math.max(1, Math.ceil(this.feeds.channels.length / BATCH));
    // Spread, so that nodes that were started together do not ask together.
    const pause = (tipCheckMs / steps) * (0.9 + entropy.random() / 5);
    this.timer = clock.schedule(pause, () => {
      if (this.due.length === 0) this.due.push(...this.feeds.channels);
      void this.check(this.due.splice(0, BATCH), SETTLE_MS).finally(() => this.start());
    });
  }

  private async checkUrgent(): Promise<void> {
    if (this.working) return;
    this.working = true;
    while (this.urgent.size > 0 && !this.closed) {
      const batch = [...this.urgent].slice(0, BATCH);
      for (const channel of batch) this.urgent.delete(channel);
      const done = await this.check(batch, 0);
      if (!done) for (const channel of batch) this.urgent.add(channel);
      await this.sleep(done ? PACE_MS : 5 * SETTLE_MS);
    }
    this.working = false;
  }

  /** @returns Whether the tips could be asked for. */
  private async check(channels: readonly string[], settleMs: number): Promise<boolean> {
    try {
      let behind = await this.behind(channels);
      if (behind.length > 0 && settleMs > 0) {
        await this.sleep(settleMs);
        behind = behind.filter(([channel, tip]) => this.isBehind(channel, tip));
      }
      await this.healAll(behind);
      return true;
    } catch {
      // Redis is away or slow: the next round, or the next connection, asks again.
      return false;
    }
  }

  /** Those of which something may be missing. Where a log only has another name, as after a restart, that is noted at once. */
  private async behind(channels: readonly string[]): Promise<(readonly [string, Position])[]> {
    const known = channels.flatMap((channel) => {
      // A probe that is lost fails by itself, and its log must not live as long as one that is asked for.
      const seen = channel.startsWith(PROBE_CHANNELS) ? undefined : this.feeds.seenOf(channel);
      return seen === undefined ? [] : [{ channel, seen }];
    });
    if (known.length === 0) return [];
    const compared = await this.log.compare(
      known.map(({ channel }) => channel),
      known.map(({ seen }) => seen),
    );
    return known.flatMap(({ channel, seen }, index) => {
      const { tip, continuous } = compared[index] ?? {};
      if (tip === undefined || !this.isBehind(channel, tip)) return [];
      // A new incarnation of a log that lost nothing and got nothing: there is nothing to deliver (G6).
      const isSame = continuous === true && tip.seq === seen.seq && this.feeds.seenOf(channel) === seen;
      if (!isSame) return [[channel, tip] as const];
      this.feeds.setTip(channel, tip);
      return [];
    });
  }

  /** A few at a time: each answer may be as large as a read may be. */
  private async healAll(behind: readonly (readonly [string, Position])[]): Promise<void> {
    let next = 0;
    const heal = async (): Promise<void> => {
      for (let one = behind[next++]; one !== undefined; one = behind[next++]) await this.heal(...one);
    };
    const lanes = Math.min(MAX_READS, behind.length);
    await Promise.all(Array.from({ length: lanes }, heal));
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.settings.clock.schedule(ms, resolve));
  }

  private isBehind(channel: string, tip: Position): boolean {
    const seen = this.feeds.seenOf(channel);
    if (seen === undefined) return false;
    // A log that was empty and is empty has nothing to deliver, whatever its epoch is called by now.
    return seen.seq < tip.seq || (seen.epoch !== tip.epoch && (seen.seq > 0 || tip.seq > 0));
  }

  private async heal(channel: string, found: Position): Promise<void> {
    const seen = this.feeds.seenOf(channel);
    if (seen === undefined || this.closed) return;
    const { tip, events, continuous } = await this.log.read({
      channel,
      epoch: seen.epoch,
      from: seen.seq + 1,
      limit: PAGE,
    });
    if (this.closed || !this.isBehind(channel, found)) return;
    // A new incarnation of a log that lost nothing and got nothing: there is nothing to deliver (G6).
    const unchanged = continuous && tip.seq === seen.seq;
    const last = events.at(-1);
    const complete = events[0]?.seq === seen.seq + 1 && last?.seq === tip.seq;
    if (!unchanged) this.feeds.deliver(channel, complete ? events : [tipNotice(channel, tip)]);
    // After a notice the listener reads the log itself; later events arrive as usual.
    this.feeds.setTip(channel, tip);
  }
}
