import type { PresenceCount, PresenceDiff, PresencePage } from '../../protocol/messages.js';
import type { Subscriber } from './subscriber.js';
import type { Clock, Scheduled } from '../ports/clock.js';
import { encodedOnce, type OnUnwritable } from '../outbox/encoder.js';
import type { Flow } from '../outbox/entry.js';

/** Shortest time between two counts of one channel on one node, in milliseconds (P22b). */
export const COUNT_INTERVAL_MS = 1_000;

/**
 * Share of `maxMembers` at which a channel that sent counts sends changes again. Every subscriber then reads the whole list,
 * which must not happen each time that a member at the border joins or leaves.
 */
const RESUME_AT = 0.9;

/** A state of the membership, as the broker numbers it. */
type Version = Pick<PresenceCount, 'epoch' | 'version'>;

export interface PresenceFeedDeps {
  readonly clock: Clock;
  readonly onUnwritable: OnUnwritable;
}

/** The channel whose subscribers are notified. */
export interface PresenceAudience {
  readonly name: string;
  readonly subscriptions: ReadonlySet<Subscriber>;
  /** Whether nothing may be sent for now (G11). */
  readonly isFrozen: boolean;
  /** Sends the events of the turn. */
  flush(): void;
}

/**
 * Notifies a channel's subscribers on this node of its members (G19). Up to `maxMembers` each change is sent; in a larger
 * channel, subscribers that support it are sent the number of members instead, at most once per interval. The traffic then
 * does not grow with the number of members that join.
 */
export class PresenceFeed {
  /** Whether counts are sent instead of changes. */
  private counted = false;
  /** Newest known state, from a change or from a page that was read. */
  private known: PresenceCount | undefined;
  /** Version of the last change that was sent. */
  private sent: Version | undefined;
  private readonly resumeAt: number;
  /** Subscribers that are sent every change however large the channel is: their clients do not support counts. */
  private readonly followers = new Set<Subscriber>();
  /** Subscribers to whom a change could not be sent, until they are made to read the members again (P25). */
  private readonly stale = new Set<Subscriber>();
  private countedAt = -Infinity;
  private timer: Scheduled | undefined;
  private closed = false;

  constructor(
    private readonly audience: PresenceAudience,
    private readonly maxMembers: number,
    private readonly deps: PresenceFeedDeps,
  ) {
    this.resumeAt = Math.ceil(maxMembers * RESUME_AT);
  }

  /** Takes a change, in the broker's order. */
  onDiff(diff: PresenceDiff): void {
    // Events of this turn came before it (P24).
    this.audience.flush();
    const { epoch, version } = diff;
    this.sent = { epoch, version };
    const wasCounted = this.counted;
    if (!contains(this.known, diff))
      this.know({ epoch, version, count: diff.count ?? this.countAfter(diff) });
    if (this.audience.isFrozen) return;
    this.sendAll(wasCounted || this.counted, diff);
  }

  /**
   * The page as it is sent to this subscriber. It was just read, so it may be newer than the changes that arrived.
   */
  answer(subscription: Subscriber, page: PresencePage): PresencePage {
    const { epoch, version, count } = page;
    if (!contains(this.known, page)) this.know({ epoch, version, count });
    return this.counted && subscription.takesCounts ? { ...page, counted: true } : page;
  }

  /** Whether a change that is not in this page was sent already, so that this subscriber would miss it. */
  hasMissed(subscription: Subscriber, page: PresencePage | undefined): boolean {
    if (page === undefined || this.sent === undefined) return false;
    // The next count includes it.
    if (this.counted && subscription.takesCounts) return false;
    return isNewer(this.sent, page);
  }

  /** The subscriber has this page. From now on it is sent the changes after it. */
  follow(subscription: Subscriber, page: PresencePage): void {
    // The answer may have been too much for its client: then nothing would remove it again.
    if (subscription.ended) return;
    subscription.notePresence(page.epoch, page.version);
    if (!subscription.takesCounts) this.followers.add(subscription);
    else if (this.counted && isNewer(this.known, page)) this.countSoon();
  }

  /** After a time in which nothing was sent: subscribers that missed a change are made to read the members again, or sent a count. */
  catchUp(): void {
    if (this.known === undefined) return;
    if (this.counted) this.countSoon();
    this.sendAll(this.counted, nothingSince(this.known));
  }

  /** The same for one subscriber. */
  refresh(subscription: Subscriber): void {
    const { known } = this;
    if (known === undefined || this.audience.isFrozen) return;
    const news = this.counted && subscription.takesCounts ? known : nothingSince(known);
    this.sendNewer(subscription, news, this.encoder(news));
  }

  remove(subscription: Subscriber): void {
    this.followers.delete(subscription);
    this.stale.delete(subscription);
  }

  /** The node no longer serves the channel. */
  close(): void {
    this.closed = true;
    this.timer?.cancel();
  }

  /** Takes a newer state, and switches between changes and counts where it crosses the border. */
  private know(state: PresenceCount): void {
    this.known = state;
    const wasCounted = this.counted;
    this.counted = state.count > (wasCounted ? this.resumeAt : this.maxMembers);
    if (this.counted) this.countSoon();
    else if (wasCounted) this.resume(state);
  }

  /** For a diff without a count, as older nodes send it. */
  private countAfter({ join, leave }: PresenceDiff): number {
    return Math.max(0, (this.known?.count ?? 0) + join.length - leave.length);
  }

  private countSoon(): void {
    if (this.timer !== undefined || this.closed) return;
    const waitMs = this.countedAt + COUNT_INTERVAL_MS - this.deps.clock.monotonic();
    if (waitMs <= 0) this.sendCount();
    else this.timer = this.deps.clock.schedule(waitMs, () => this.sendCount());
  }

  private sendCount(): void {
    this.timer = undefined;
    if (this.known === undefined || this.audience.isFrozen) return;
    this.audience.flush();
    this.countedAt = this.deps.clock.monotonic();
    const { known: count } = this;
    const encode = this.encoder(count);
    for (const subscription of this.audience.subscriptions) {
      if (subscription.takesCounts) this.sendNewer(subscription, count, encode);
    }
  }

  /** Sends changes again. Subscribers must read the members first. */
  private resume(state: Version): void {
    this.timer?.cancel();
    this.timer = undefined;
    if (this.audience.isFrozen) return;
    const diff = nothingSince(state);
    const encode = this.encoder(diff);
    for (const subscription of this.audience.subscriptions) {
      const { takesCounts, presenceVersion, isWithheld } = subscription;
      if (takesCounts && presenceVersion !== undefined && !isWithheld) this.send(subscription, diff, encode);
    }
  }

  /** Sends a change to all subscribers; while counts are sent, only to those that do not support them. */
  private sendAll(counted: boolean, diff: PresenceDiff): void {
    const audience = counted ? this.followers : this.audience.subscriptions;
    const encode = this.encoder(diff);
    for (const subscription of audience) this.sendNewer(subscription, diff, encode);
  }

  private sendNewer(subscription: Subscriber, news: Version, encode: Encode): void {
    const { presenceVersion, presenceEpoch } = subscription;
    if (presenceVersion === undefined || subscription.isWithheld) return;
    if (presenceEpoch === news.epoch && news.version <= presenceVersion) return;
    this.send(subscription, news, encode);
  }

  private send(subscription: Subscriber, { epoch, version }: Version, encode: Encode): void {
    const { outbox } = subscription;
    subscription.notePresence(epoch, version);
    const bytes = encode(outbox.connection.variant);
    if (bytes !== undefined && !outbox.pushDroppable(bytes, subscription, this.onDropped))
      this.resync(subscription);
  }

  /** A queued change made room for an event. */
  private readonly onDropped = (flow: Flow): void => this.resync(flow as Subscriber);

  /**
   * A change did not fit into the queue (P25). When there is room again, an empty change shows the client that versions are
   * missing, and it reads the members again.
   */
  private resync(subscription: Subscriber): void {
    if (this.stale.has(subscription)) return;
    this.stale.add(subscription);
    const { outbox } = subscription;
    outbox.whenRoom(() => {
      this.stale.delete(subscription);
      if (subscription.ended || this.known === undefined) return;
      if (this.audience.isFrozen || subscription.isWithheld) {
        // `catchUp` or `refresh` then makes the client read again: its version was recorded, but it did not get the change.
        subscription.forgetPresence();
        return;
      }
      const diff = nothingSince(this.known);
      const bytes = this.encoder(diff)(outbox.connection.variant);
      if (bytes !== undefined) outbox.pushDroppable(bytes, subscription, this.onDropped);
    });
  }

  private encoder(payload: PresenceDiff | PresenceCount): Encode {
    const { clock, onUnwritable } = this.deps;
    const envelope = { type: 'presence', channel: this.audience.name, ts: clock.now(), payload };
    return encodedOnce(envelope, onUnwritable);
  }
}

type Encode = ReturnType<typeof encodedOnce>;

/** Whether nothing of `other` is missing in `state`. */
function contains(state: Version | undefined, other: Version): boolean {
  return state !== undefined && state.epoch === other.epoch && state.version >= other.version;
}

/** Whether something of `state` may be missing in `other`; of two epochs that is unknown, and counts as a yes. */
function isNewer(state: Version | undefined, other: Version): boolean {
  return state !== undefined && !contains(other, state);
}

function nothingSince({ epoch, version }: Version): PresenceDiff {
  return { epoch, version, previous: version, join: [], update: [], leave: [] };
}
