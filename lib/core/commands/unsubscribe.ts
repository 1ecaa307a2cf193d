import { CLOSE_CODES } from '../../protocol/close-codes.js';
import type { UnsubscribeCommand } from '../../protocol/commands.js';
import { errorBody, type ErrorBody } from '../../protocol/error-body.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { toWireValue } from '../../protocol/wire-value.js';
import { ChannelSet } from '../channel/channel-set.js';
import type { Hub } from '../hub/hub.js';
import type { PresenceTracker } from '../hub/presence-tracker.js';
import type { Subscription } from '../hub/subscription.js';
import type { Outbox } from '../outbox/outbox.js';
import type { ChannelPolicy } from '../ports/channel-definition.js';
import type { Clock } from '../ports/clock.js';
import type { Session } from '../session/session.js';
import type { LifecycleHooks } from './lifecycle.js';

/** Codes after which the client does not reconnect: its membership ends at once, without grace. */
const LEFT_FOR_GOOD: ReadonlySet<number> = new Set<number>([
  CLOSE_CODES.normal.code,
  CLOSE_CODES.kicked.code,
  CLOSE_CODES.replaced.code,
  CLOSE_CODES.banned.code,
  CLOSE_CODES.forbidden.code,
]);

/** How long a member may stay away whose connection ended with `code`, in milliseconds (G19). */
export function graceAfter(code: number, { presence }: ChannelPolicy): number {
  return presence === false || LEFT_FOR_GOOD.has(code) ? 0 : presence.graceMs;
}

/** Ends subscriptions: by the client's command, by the server's decision, or with their session. */
export class Unsubscribe {
  constructor(
    private readonly hub: Hub,
    private readonly presence: PresenceTracker,
    private readonly hooks: LifecycleHooks,
    private readonly clock: Clock,
  ) {}

  /** The client's command. Idempotent; cancels a subscribe that is under way. */
  run(session: Session, command: UnsubscribeCommand): void {
    const { channels } = session;
    channels.pendingOf(command.channel)?.cancel();
    const subscription = channels.get(command.channel);
    if (subscription !== undefined) {
      const refs = this.drop(session, subscription);
      if (refs.length > 0) this.refuse(session.outbox, refs, new RealtimeError('not_subscribed'));
    }
    const inherited = channels.claim(command.channel);
    if (inherited !== undefined) this.hooks.unsubscribed(inherited);
    session.replyControl(command.id, {});
  }

  /** The server's decision. The client is sent `unsubscribed` with the reason (P24). */
  end(session: Session, subscription: Subscription, reason: RealtimeError): void {
    session.connection.onEnding?.();
    session.connection.onWithdrawn?.();
    subscription.takeAway();
    this.refuse(session.outbox, this.drop(session, subscription), reason);
    // A reason that passes is none to take an answer away that may not be asked for again.
    if (!reason.retryable) this.withdraw(session, ChannelSet.only(subscription.name), reason);
    const { code, message, retryable, retryAfterMs } = bodyOf(reason);
    session.outbox.pushControl({
      type: 'unsubscribed',
      channel: subscription.name,
      ts: this.clock.now(),
      payload: { code, message, retryable, retryAfterMs },
    });
  }

  /** The same for all of some channels, subscribed to or not. */
  endIn(session: Session, channels: ChannelSet, reason: RealtimeError): void {
    for (const subscription of session.channels.list())
      if (channels.has(subscription.name)) this.end(session, subscription, reason);
    this.withdraw(session, channels, reason);
  }

  /** What waits for the client of answers about channels is taken back, also where it has no subscription (G11). */
  withdraw({ outbox, connection }: Session, channels: ChannelSet, reason: RealtimeError): void {
    // Of answers that left, a transport may keep a copy.
    connection.onWithdrawn?.();
    this.refuse(
      outbox,
      outbox.withdrawAnswers((name) => channels.has(name)),
      reason,
    );
  }

  /**
   * Answers with events of a channel's log, or with its state, are taken back where they wait for the client: events in them were
   * erased (G29). One that a subscription begins with is taken back with it: the client subscribes again.
   *
   * @param reason a retryable one.
   */
  withdrawErased(session: Session, channel: string, reason: RealtimeError): void {
    const { outbox } = session;
    const subscription = session.channels.get(channel);
    if (subscription !== undefined && outbox.holdsStart(channel)) this.end(session, subscription, reason);
    const refs = outbox.withdrawCopies(channel);
    if (refs.length > 0) this.refuse(outbox, refs, reason);
  }

  /** Ends the subscriptions of a session that ended with `code`. */
  endAll(session: Session, code: number): void {
    const { inherited, subscriptions } = session.channels.leave();
    for (const subscription of subscriptions)
      this.takeOut(session, subscription, graceAfter(code, subscription.definition.policy));
    // Also where a newer connection on another node took over: that one runs hooks of its own (P28). One of this node has
    // inherited them, and nothing is left.
    for (const call of inherited) this.hooks.unsubscribed(call);
    for (const subscription of subscriptions) this.conclude(subscription);
  }

  /** Answers commands whose replies were dropped with the subscription, before the client is sent `unsubscribed` (P7). */
  private refuse(outbox: Outbox, refs: readonly string[], reason: RealtimeError): void {
    const ts = this.clock.now();
    const payload = bodyOf(reason);
    for (const ref of refs) outbox.pushControl({ type: 'error', ref, ts, payload });
  }

  /** @returns the commands whose answers were dropped. */
  private drop(session: Session, subscription: Subscription): readonly string[] {
    session.channels.remove(subscription);
    const refs = subscription.outbox.purge(subscription);
    this.takeOut(session, subscription, 0);
    this.conclude(subscription);
    return refs;
  }

  private conclude(subscription: Subscription): void {
    if (subscription.concludeHooks()) this.hooks.unsubscribed(subscription.call);
  }

  private takeOut(session: Session, subscription: Subscription, graceMs: number): void {
    const { channel } = subscription;
    subscription.end();
    session.retain(-subscription.retainedBytes);
    subscription.countRetained(-subscription.retainedBytes);
    channel.remove(subscription);
    this.presence.leave(subscription, graceMs);
    this.hub.release(channel);
  }
}

/** The body of an error of the application, whose `details` are left out when they cannot be sent. */
function bodyOf(reason: RealtimeError): ErrorBody {
  try {
    return toWireValue(errorBody(reason), 'error') as ErrorBody;
  } catch {
    return errorBody(new RealtimeError(reason.code));
  }
}
