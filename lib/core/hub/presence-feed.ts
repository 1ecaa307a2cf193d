import type { PresenceCount, PresenceDiff, PresencePage } from '../../protocol/messages.js';
import type { Subscriber } from './subscriber.js';
import type { Clock, Scheduled } from '../ports/clock.js';
import type { WireVariant } from '../ports/connection.js';
import { encodedOnce } from '../outbox/encoder.js';

/** Shortest time between two counts of one channel on one node, in milliseconds (P22b). */
export const COUNT_INTERVAL_MS = 1_000;

/**
 * Part of `maxMembers` at which a channel that told counts tells members again. Every subscriber then reads the list anew,
 * which must not happen each time that somebody at the border comes or goes.
 */
const RESUME_AT = 0.9;

/** A state of the membership, as the broker numbers it. */
interface Version {
  readonly epoch: string;
  readonly version: number;
}

/** The channel that is told. */
export interface PresenceAudience {
  readonly name: string;
  readonly subscriptions: ReadonlySet<Subscriber>;
  /** Whether nothing may be told for now (G11). */
  readonly isFrozen: boolean;
  /** Hands out the events of the turn. */
  flush(): void;
}

/**
 * Tells a channel's subscribers on this node who its members are (G19). Up to `maxMembers` each change is told; in a
 * larger channel the subscribers that can take it are told how many there are, at most once in an interval. One join then
 * costs one count instead of a message to everybody for each who joins, and what is told does not grow with the channel.
 */
export class PresenceFeed {
  /** Whether changes are told as counts. */
  private counted = false;
  /** Newest state that is known, from a diff or from a page that was read. */
  private known: (Version & { readonly count: number }) | undefined;
  /** The last diff that went out. */
  private passed: Version | undefined;
  private readonly resumeAt: number;
  /** Subscribers that are told each change however large the channel is: their clients take no counts. */
  private readonly followers = new Set<Subscriber>();
  /** Subscribers to whom a change could not be sent, until they are made to read the members again (P25). */
  private readonly stale = new Set<Subscriber>();
  private countedAt = -Infinity;
  private timer: Scheduled | undefined;
  private closed = false;

  constructor(
    private readonly audience: PresenceAudience,
    private readonly maxMembers: number,
    private readonly clock: Clock,
  ) {
    this.resumeAt = Math.ceil(maxMembers * RESUME_AT);
  }

  /** What happened, in the broker's order. */
  onDiff(diff: PresenceDiff): void {
    // Events of this turn came before it (P24).
    this.audience.flush();
    const { epoch, version } = diff;
    this.passed = { epoch, version };
    const wasCounted = this.counted;
    if (!contains(this.known, diff))
      this.know({ epoch, version, count: diff.count ?? this.countAfter(diff) });
    if (this.audience.isFrozen) return;
    this.tellAll(wasCounted || this.counted, diff);
  }

  /**
   * The page as this subscriber is answered. It was read just now, so it may know more than the diffs that came.
   */
  answer(subscription: Subscriber, page: PresencePage): PresencePage {
    const { epoch, version, count } = page;
    if (!contains(this.known, page)) this.know({ epoch, version, count });
    return this.counted && subscription.takesCounts ? { ...page, counted: true } : page;
  }

  /** Whether a change that this page does not contain went out already, and will not be told to this subscriber. */
  hasMissed(subscription: Subscriber, page: PresencePage | undefined): boolean {
    if (page === undefined || this.passed === undefined) return false;
    // The next count makes up for it.
    if (this.counted && subscription.takesCounts) return false;
    return isNewer(this.passed, page);
  }

  /** The subscriber has this page, and is told what comes after it. */
  follow(subscription: Subscriber, page: PresencePage): void {
    // The answer may have been too much for its client; nobody would take it off again.
    if (subscription.ended) return;
    subscription.notePresence(page.epoch, page.version);
    if (!subscription.takesCounts) this.followers.add(subscription);
    else if (this.counted && isNewer(this.known, page)) this.countSoon();
  }

  /** After a time in which nothing was told: who missed a change is made to ask anew, or is told how many there are. */
  catchUp(): void {
    if (this.known === undefined) return;
    if (this.counted) this.countSoon();
    this.tellAll(this.counted, nothingSince(this.known));
  }

  remove(subscription: Subscriber): void {
    this.followers.delete(subscription);
    this.stale.delete(subscription);
  }

  /** The node serves the channel no longer. */
  close(): void {
    this.closed = true;
    this.timer?.cancel();
  }

  /** Takes a newer state, and changes the way of telling where it crosses a border. */
  private know(state: Version & { readonly count: number }): void {
    this.known = state;
    const wasCounted = this.counted;
    this.counted = state.count > (wasCounted ? this.resumeAt : this.maxMembers);
    if (this.counted) this.countSoon();
    else if (wasCounted) this.resume(state);
  }

  /** Of a broker that does not say it: nodes of a version before this one do not. */
  private countAfter({ join, leave }: PresenceDiff): number {
    return Math.max(0, (this.known?.count ?? 0) + join.length - leave.length);
  }

  private countSoon(): void {
    if (this.timer !== undefined || this.closed) return;
    const waitMs = this.countedAt + COUNT_INTERVAL_MS - this.clock.monotonic();
    if (waitMs <= 0) this.tellCount();
    else this.timer = this.clock.schedule(waitMs, () => this.tellCount());
  }

  private tellCount(): void {
    this.timer = undefined;
    if (this.known === undefined || this.audience.isFrozen) return;
    this.audience.flush();
    this.countedAt = this.clock.monotonic();
    const count: PresenceCount = this.known;
    const encode = this.encoder(count);
    for (const subscription of this.audience.subscriptions) {
      if (subscription.takesCounts) this.tell(subscription, count, encode);
    }
  }

  /** Tells changes again: the members have to be read anew first. */
  private resume(state: Version): void {
    this.timer?.cancel();
    this.timer = undefined;
    if (this.audience.isFrozen) return;
    const diff = nothingSince(state);
    const encode = this.encoder(diff);
    for (const subscription of this.audience.subscriptions) {
      if (subscription.takesCounts && subscription.presenceVersion !== undefined)
        this.send(subscription, diff, encode);
    }
  }

  /** Tells a change to everybody; while members are counted, to those who do not take counts. */
  private tellAll(counted: boolean, diff: PresenceDiff): void {
    const told = counted ? this.followers : this.audience.subscriptions;
    const encode = this.encoder(diff);
    for (const subscription of told) this.tell(subscription, diff, encode);
  }

  private tell(subscription: Subscriber, news: Version, encode: Encode): void {
    const { presenceVersion, presenceEpoch } = subscription;
    if (presenceVersion === undefined) return;
    if (presenceEpoch === news.epoch && news.version <= presenceVersion) return;
    this.send(subscription, news, encode);
  }

  private send(subscription: Subscriber, { epoch, version }: Version, encode: Encode): void {
    const { outbox } = subscription;
    subscription.notePresence(epoch, version);
    if (!outbox.pushDroppable(encode(outbox.connection.variant), subscription)) this.resync(subscription);
  }

  /**
   * A change did not fit (P25). When there is room again, a diff without content shows the client that versions are
   * missing, and it asks for the members anew.
   */
  private resync(subscription: Subscriber): void {
    if (this.stale.has(subscription)) return;
    this.stale.add(subscription);
    const { outbox } = subscription;
    outbox.whenRoom(() => {
      this.stale.delete(subscription);
      if (subscription.ended || this.known === undefined) return;
      if (this.audience.isFrozen) {
        // Then it is `catchUp` that makes the client ask: it has not what it was counted as having.
        subscription.forgetPresence();
        return;
      }
      const diff = nothingSince(this.known);
      outbox.pushDroppable(this.encoder(diff)(outbox.connection.variant), subscription);
    });
  }

  private encoder(payload: PresenceDiff | PresenceCount): Encode {
    return encodedOnce({ type: 'presence', channel: this.audience.name, ts: this.clock.now(), payload });
  }
}

type Encode = (variant: WireVariant) => Buffer;

/** Whether nothing of `other` is missing in `state`. */
function contains(state: Version | undefined, other: Version): boolean {
  return state !== undefined && state.epoch === other.epoch && state.version >= other.version;
}

/** Whether something of `state` may be missing in `other`; of two epochs nobody can say. */
function isNewer(state: Version | undefined, other: Version): boolean {
  return state !== undefined && !contains(other, state);
}

function nothingSince({ epoch, version }: Version): PresenceDiff {
  return { epoch, version, previous: version, join: [], update: [], leave: [] };
}
