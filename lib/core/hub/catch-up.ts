import type { ChannelEvent } from '../ports/channel-event.js';
import type { Broker, ReadResult } from '../ports/broker.js';
import type { Clock } from '../ports/clock.js';
import type { Observer } from '../ports/observer.js';
import { PageCache } from '../log/page-cache.js';
import type { RetryQueue } from '../async/retry-queue.js';
import type { Subscription } from './subscription.js';

export interface CatchUpOptions {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly retries: RetryQueue;
  readonly observer: Observer;
  /** The log under a replaying subscription is another one: it must be told `reset`. */
  readonly onNewEpoch: (subscription: Subscription) => void;
  /** An event of the application cannot be written down. */
  readonly onFailed: (subscription: Subscription, error: unknown) => void;
}

/** What a subscription was sent since it fell behind. */
interface Replay {
  readonly startedAt: number;
  events: number;
}

/**
 * Brings subscriptions from their cursor to the tip (P12, G7, G8). Events are pulled as the client's socket drains: from
 * the log page by page, from the node's ring once it reaches that far. The step from the last of them to live is
 * one synchronous piece, so nothing can come between or twice.
 */
export class CatchUp {
  private readonly pages: PageCache;
  /** Replays under way, where an observer is to know of them. */
  private readonly replays: WeakMap<Subscription, Replay> | undefined;

  constructor(private readonly options: CatchUpOptions) {
    this.pages = new PageCache(options.broker, options.clock);
    if (options.observer.onReplay !== undefined) this.replays = new WeakMap();
  }

  close(): void {
    this.pages.close();
  }

  /** Goes on until the subscription is live or has ended. */
  pump(subscription: Subscription): void {
    // Called by timers and promises, where what is thrown would end the process.
    try {
      this.advance(subscription);
    } catch (error) {
      this.options.onFailed(subscription, error);
    }
  }

  private advance(subscription: Subscription): void {
    const { channel, outbox } = subscription;
    // Goes on when the node knows the revokes again (G11).
    if (channel.isWithheld) return;
    while (!subscription.ended && !subscription.live && !subscription.moving) {
      if (subscription.epoch !== channel.tip.epoch) return this.options.onNewEpoch(subscription);
      this.announceResumed(subscription);
      // The log may have been ahead of this node when the place was taken: a replay goes on to its `resumed` (P12).
      if (subscription.cursor >= Math.max(channel.tip.seq, subscription.resumedAt ?? 0))
        return this.goLive(subscription);
      if (!outbox.hasRoom) return outbox.whenRoom(() => this.pump(subscription));
      const next = subscription.cursor + 1;
      if (!channel.ring.covers(next)) return this.readPage(subscription, next);
      this.push(subscription, channel.ring.at(next));
    }
  }

  private goLive(subscription: Subscription): void {
    subscription.channel.goLive(subscription);
    const replay = this.replays?.get(subscription);
    if (replay === undefined) return;
    this.replays?.delete(subscription);
    const { observer, clock } = this.options;
    observer.onReplay?.(subscription.pattern, replay.events, clock.monotonic() - replay.startedAt);
  }

  private countReplayed(subscription: Subscription, replays: WeakMap<Subscription, Replay>): void {
    const replay = replays.get(subscription);
    if (replay === undefined)
      replays.set(subscription, { startedAt: this.options.clock.monotonic(), events: 1 });
    else replay.events++;
  }

  private readPage(subscription: Subscription, from: number, again = false): void {
    const { epoch } = subscription;
    this.pages.read(subscription.channel.name, epoch, from).then(
      (page) => {
        if (subscription.ended || subscription.moving || subscription.epoch !== epoch) return;
        if (subscription.live || subscription.channel.isWithheld) return;
        if (!page.continuous || page.tip.epoch !== epoch) return this.options.onNewEpoch(subscription);
        try {
          this.take(subscription, page);
        } catch (error) {
          return this.options.onFailed(subscription, error);
        }
        if (subscription.cursor >= from || !subscription.outbox.hasRoom) this.pump(subscription);
        // A page that was shared may have been read before this event was there.
        else if (!again) this.readPage(subscription, from, true);
        else this.retry(subscription);
      },
      // The broker is away: the subscription stays, and goes on where it was (G21).
      () => this.retry(subscription),
    );
  }

  private take(subscription: Subscription, page: ReadResult): void {
    this.skipTrimmed(subscription, Math.min(page.oldest, page.tip.seq + 1));
    for (const event of page.events) {
      // A page is bounded in events only. What is too much now is read again when there is room (G13).
      if (subscription.ended || !subscription.outbox.hasRoom) return;
      this.skipTrimmed(subscription, event.seq);
      if (event.seq === subscription.cursor + 1) this.push(subscription, event);
    }
  }

  private retry(subscription: Subscription): void {
    this.options.retries.later(() => this.pump(subscription));
  }

  /** Announces what trimming overtook during the replay (P12). */
  private skipTrimmed(subscription: Subscription, oldest: number): void {
    const next = subscription.cursor + 1;
    if (oldest <= next) return;
    // `resumed` has its place behind `position.seq`, even when that event is gone.
    const { resumedAt } = subscription;
    if (resumedAt !== undefined && resumedAt >= next && resumedAt < oldest - 1) {
      subscription.outbox.pushGap(subscription, next, resumedAt, 'expired', false);
      subscription.skipTo(resumedAt);
      this.announceResumed(subscription);
      return this.skipTrimmed(subscription, oldest);
    }
    subscription.outbox.pushGap(subscription, next, oldest - 1, 'expired', false);
    subscription.skipTo(oldest - 1);
  }

  private push(subscription: Subscription, event: ChannelEvent): void {
    this.announceResumed(subscription);
    subscription.outbox.pushReplay(subscription, event);
    if (this.replays !== undefined) this.countReplayed(subscription, this.replays);
    subscription.advance(event.seq);
    this.announceResumed(subscription);
  }

  private announceResumed(subscription: Subscription): void {
    const { epoch, channel, outbox } = subscription;
    const seq = subscription.takeResumed();
    if (seq === undefined) return;
    const ts = this.options.clock.now();
    outbox.pushReplayMarker(subscription, {
      type: 'resumed',
      channel: channel.name,
      seq,
      epoch,
      ts,
    });
  }
}
