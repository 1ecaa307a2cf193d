import type { Position } from '../../protocol/position.js';
import type { Subscription } from '../hub/subscription.js';
import type { Flow } from '../outbox/entry.js';
import type { HandlerCall } from '../ports/channel-definition.js';
import type { Scheduled } from '../ports/clock.js';

/** Names of channels that a connection may use whatever others at its address named. */
const MAX_OWN_NAMES = 8;

/** A subscribe that is under way. */
export class PendingSubscription {
  private calledOff = false;
  private done: Promise<void> = Promise.resolve();

  /** Whether it must not be committed. */
  get cancelled(): boolean {
    return this.calledOff;
  }

  /** Settles, and never rejects, when the subscribe is committed or refused. */
  get settled(): Promise<void> {
    return this.done;
  }

  /** Called when the client unsubscribes before the subscribe is answered. */
  cancel(): void {
    this.calledOff = true;
  }

  follow(made: Promise<void>): void {
    this.done = made.catch(() => undefined);
  }
}

/**
 * The channels of one session: subscriptions, subscribes that are under way, and those that it inherited from an older
 * connection of the same client, whose `@OnUnsubscribe` it must call (P28). What most sessions do not have costs nothing.
 */
export class SessionChannels {
  private readonly joined = new Map<string, Subscription>();
  private pending: Map<string, PendingSubscription> | undefined;
  private unclaimed: Map<string, HandlerCall> | undefined;
  private unclaimedTimer: Scheduled | undefined;
  private own: Set<string> | undefined;

  /** Subscriptions, and subscribes that are under way. */
  get size(): number {
    return this.joined.size + (this.pending?.size ?? 0);
  }

  get names(): readonly string[] {
    return [...this.joined.keys()];
  }

  /** Whether a name is among the few of this connection. @param isUsed whether it becomes one of them. */
  takeOwnName(channel: string, isUsed: boolean): boolean {
    const { own } = this;
    if (own?.has(channel) === true) return true;
    if ((own?.size ?? 0) >= MAX_OWN_NAMES) return false;
    if (isUsed) (this.own ??= new Set<string>()).add(channel);
    return true;
  }

  get(channel: string): Subscription | undefined {
    return this.joined.get(channel);
  }

  /** Whether something of a channel may not be written for now. */
  get hasFrozen(): boolean {
    for (const { isFrozen } of this.joined.values()) if (isFrozen) return true;
    return false;
  }

  /** A copy, since the caller may remove some of them. */
  list(): readonly Subscription[] {
    return [...this.joined.values()];
  }

  /** @param waiting where the client stands in subscriptions of which something waits for it; `undefined` for unknown. */
  positions(waiting: ReadonlyMap<Flow, Position | undefined>): ReadonlyMap<string, Position> {
    const positions = new Map<string, Position>();
    for (const subscription of this.joined.values()) {
      const { name, epoch, cursor } = subscription;
      const position = waiting.has(subscription) ? waiting.get(subscription) : { epoch, seq: cursor };
      if (position !== undefined) positions.set(name, position);
    }
    return positions;
  }

  add(subscription: Subscription): void {
    this.joined.set(subscription.name, subscription);
  }

  remove(subscription: Subscription): void {
    this.joined.delete(subscription.name);
  }

  pendingOf(channel: string): PendingSubscription | undefined {
    return this.pending?.get(channel);
  }

  /** Lets other commands for the channel, and revokes, find the subscribe until `made` settles. */
  follow(channel: string, pending: PendingSubscription, made: Promise<void>): Promise<void> {
    const underWay = (this.pending ??= new Map<string, PendingSubscription>());
    underWay.set(channel, pending);
    const done = made.finally(() => {
      if (underWay.get(channel) === pending) underWay.delete(channel);
      if (underWay.size === 0 && this.pending === underWay) this.pending = undefined;
    });
    pending.follow(done);
    return done;
  }

  /**
   * Takes over the channels of an older connection of this node: from now on their `@OnUnsubscribe` is called here, and no longer
   * at the end of the older one. @returns how many there are.
   */
  inherit(older: SessionChannels): number {
    const inherited = older.unclaimed ?? new Map<string, HandlerCall>();
    older.unclaimed = undefined;
    for (const subscription of older.joined.values())
      if (subscription.concludeHooks()) inherited.set(subscription.name, subscription.call);
    this.unclaimed = inherited.size === 0 ? undefined : inherited;
    return inherited.size;
  }

  /** Keeps the timer after which unclaimed inherited channels end. */
  endUnclaimedBy(timer: Scheduled): void {
    this.unclaimedTimer = timer;
  }

  /** Takes an inherited channel out. @returns the call of its subscription. */
  claim(channel: string): HandlerCall | undefined {
    const call = this.unclaimed?.get(channel);
    this.unclaimed?.delete(channel);
    return call;
  }

  /** Drops unclaimed inherited channels, the oldest first, until `keep` are left. @returns their calls. */
  dropUnclaimed(keep: number): readonly HandlerCall[] {
    const dropped: HandlerCall[] = [];
    for (const [channel, call] of this.unclaimed ?? []) {
      if (this.unclaimed !== undefined && this.unclaimed.size <= keep) break;
      if (this.pending?.has(channel) === true) continue;
      this.unclaimed?.delete(channel);
      dropped.push(call);
    }
    return dropped;
  }

  /** Empties it at the end of the session. @returns the calls of inherited channels, and the subscriptions. */
  leave(): { readonly inherited: readonly HandlerCall[]; readonly subscriptions: readonly Subscription[] } {
    const inherited = [...(this.unclaimed?.values() ?? [])];
    const subscriptions = [...this.joined.values()];
    this.joined.clear();
    this.unclaimedTimer?.cancel();
    this.unclaimed = undefined;
    return { inherited, subscriptions };
  }
}
