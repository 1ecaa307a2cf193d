import type { ChannelEvent } from '../ports/channel-event.js';
import type { ReadResult } from '../ports/broker.js';
import type { EnginePorts } from '../ports/settings.js';
import type { Erasures } from '../log/erasures.js';
import { PageCache } from '../log/page-cache.js';
import { plainGap } from '../outbox/entry.js';
import type { RetryQueue } from '../async/retry-queue.js';
import type { Turns } from '../async/turns.js';
import { whenReady } from '../ports/maybe-promise.js';
import type { Subscription } from './subscription.js';

export interface CatchUpDeps extends Pick<EnginePorts, 'log' | 'clock' | 'observer'> {
  readonly retries: RetryQueue;
  readonly turns: Turns;
  readonly erasures: Pick<Erasures, 'cleanse'>;
  /** The log of a replaying subscription has another epoch: it must be sent `reset`. */
  readonly onNewEpoch: (subscription: Subscription) => void;
  /** An event of the application is not serializable. */
  readonly onFailed: (subscription: Subscription, error: unknown) => void;
}

/** What a subscription was sent since it fell behind. */
interface Replay {
  readonly startedAt: number;
  events: number;
}

/**
 * Brings subscriptions from their cursor to the tip (G8). Events are read as the client's socket drains: page by page from
 * the log, and from the node's ring as soon as it holds them. The step from the last of them to live delivery is synchronous,
 * so no event can be missed or sent twice.
 */
export class CatchUp {
  private readonly pages: PageCache;
  /** Replays under way, where an observer is to know of them. */
  private readonly replays: WeakMap<Subscription, Replay> | undefined;
  /** Subscriptions that continue by themselves, when their page, a retry or room comes: to pump one would begin a second loop. */
  private readonly waiting = new WeakSet<Subscription>();

  constructor(private readonly options: CatchUpDeps) {
    this.pages = new PageCache(options);
    if (options.observer.onReplay !== undefined) this.replays = new WeakMap();
  }

  close(): void {
    this.pages.close();
  }

  /** Events of a channel were erased: pages that were read before are not used again. */
  forget(channel: string): void {
    this.pages.forgetChannel(channel);
  }

  /** The same of every channel. */
  forgetAll(): void {
    this.pages.clear();
  }

  /** Continues until the subscription is live or has ended. */
  pump(subscription: Subscription): void {
    if (this.waiting.has(subscription)) return;
    // Called by timers and promises, where an exception would end the process.
    try {
      this.advance(subscription);
    } catch (error) {
      this.options.onFailed(subscription, error);
    }
  }

  private advance(subscription: Subscription): void {
    const { channel, outbox } = subscription;
    // Continues when this node's revocations are proved again, or its authorization was asked again (G11).
    if (subscription.isFrozen) return;
    while (!subscription.ended && !subscription.live && !subscription.moving) {
      if (subscription.epoch !== channel.tip.epoch) return this.options.onNewEpoch(subscription);
      this.announceResumed(subscription);
      // The log may have been ahead of this node at the subscribe: a replay continues up to its `resumed` (P12).
      if (subscription.cursor >= Math.max(channel.tip.seq, subscription.resumedAt ?? 0))
        return this.goLive(subscription);
      if (!outbox.hasRoom) return this.waitForRoom(subscription);
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
    observer.onReplay?.(subscription.definition.pattern, replay.events, clock.monotonic() - replay.startedAt);
  }

  private countReplayed(subscription: Subscription, replays: WeakMap<Subscription, Replay>): void {
    const replay = replays.get(subscription);
    if (replay === undefined)
      replays.set(subscription, { startedAt: this.options.clock.monotonic(), events: 1 });
    else replay.events++;
  }

  private readPage(subscription: Subscription, from: number, again = false): void {
    const { epoch } = subscription;
    const take = (page: ReadResult): void => this.onPage(subscription, page, epoch, from, again);
    this.waiting.add(subscription);
    this.pages
      .read(subscription.channel.name, epoch, from)
      // Those who share a page would all be sent it in one turn of the event loop.
      .then((page) => whenReady(this.options.turns.turn(subscription.outbox.owner, true), () => take(page)))
      // The broker cannot be reached, or too much waits: the subscription stays, and continues at its cursor (G21).
      .catch(() => this.retry(subscription));
  }

  /** Must not throw. */
  private onPage(
    subscription: Subscription,
    page: ReadResult,
    epoch: string,
    from: number,
    again: boolean,
  ): void {
    this.waiting.delete(subscription);
    if (subscription.ended || subscription.moving || subscription.live || subscription.isFrozen) return;
    // It was moved while the page was read, and nobody else continues it.
    if (subscription.epoch !== epoch) return this.pump(subscription);
    try {
      if (!page.continuous || page.tip.epoch !== epoch) return this.options.onNewEpoch(subscription);
      this.take(subscription, page);
    } catch (error) {
      return this.options.onFailed(subscription, error);
    }
    if (subscription.cursor >= from || !subscription.outbox.hasRoom) this.pump(subscription);
    // A shared page may have been read before this event was appended.
    else if (!again) this.readPage(subscription, from, true);
    else this.retry(subscription);
  }

  private take(subscription: Subscription, page: ReadResult): void {
    this.skipTrimmed(subscription, Math.min(page.oldest, page.tip.seq + 1));
    // It may have been read before events of it were erased.
    for (const event of this.options.erasures.cleanse(subscription.name, page.events)) {
      // A page is bounded in events only. The rest is read again when there is room (G13).
      if (subscription.ended || !subscription.outbox.hasRoom) return;
      this.skipTrimmed(subscription, event.seq);
      if (event.seq === subscription.cursor + 1) this.push(subscription, event);
    }
  }

  private retry(subscription: Subscription): void {
    this.waiting.add(subscription);
    this.options.retries.later(() => this.resume(subscription));
  }

  private waitForRoom(subscription: Subscription): void {
    this.waiting.add(subscription);
    subscription.outbox.whenRoom(() => this.resume(subscription));
  }

  private resume(subscription: Subscription): void {
    this.waiting.delete(subscription);
    this.pump(subscription);
  }

  /** Announces events that were trimmed before the replay reached them (P12). */
  private skipTrimmed(subscription: Subscription, oldest: number): void {
    const next = subscription.cursor + 1;
    if (oldest <= next) return;
    // `resumed` has its place behind `position.seq`, even when that event was trimmed.
    const { resumedAt = Infinity } = subscription;
    const last = resumedAt >= next ? Math.min(resumedAt, oldest - 1) : oldest - 1;
    subscription.outbox.pushGap(subscription, plainGap(next, last, 'expired', false, subscription.epoch));
    subscription.advance(last);
    this.announceResumed(subscription);
    this.skipTrimmed(subscription, oldest);
  }

  private push(subscription: Subscription, event: ChannelEvent): void {
    this.announceResumed(subscription);
    subscription.outbox.pushReplay(subscription, event);
    if (this.replays !== undefined) this.countReplayed(subscription, this.replays);
    subscription.advance(event.seq);
    subscription.channel.replayed(subscription, event);
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
