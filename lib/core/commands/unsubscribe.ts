import type { UnsubscribeCommand } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Subscription } from '../hub/subscription.js';
import type { Session } from '../session/session.js';
import { notify, notifyUnsubscribed } from './lifecycle.js';

/** Ends a subscription on the client's wish. Idempotent; a subscribe that is under way is called off. */
export function unsubscribe(session: Session, command: UnsubscribeCommand): void {
  const pending = session.pendingSubscriptions?.get(command.channel);
  if (pending !== undefined) pending.cancelled = true;
  const subscription = session.subscriptions.get(command.channel);
  if (subscription !== undefined) {
    const refs = drop(session, subscription);
    if (refs.length > 0) refuse(session, refs, new RealtimeError('not_subscribed'));
  }
  const inherited = session.inherited?.get(command.channel);
  if (inherited !== undefined && session.inherited?.delete(command.channel) === true)
    notifyUnsubscribed(session.context, inherited);
  session.replyControl(command.id, {});
}

/** Ends a subscription by the server's decision, and says why (P24). */
export function endSubscription(session: Session, subscription: Subscription, reason: RealtimeError): void {
  refuse(session, drop(session, subscription), reason);
  const { code, message, retryable, retryAfterMs } = reason;
  session.outbox.pushControl({
    type: 'unsubscribed',
    channel: subscription.channel.name,
    ts: session.context.clock.now(),
    payload: { code, message, retryable, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
  });
}

/** Answers commands whose replies told of a subscription and were dropped with it (P7), ahead of the word of its end. */
function refuse(session: Session, refs: readonly string[], reason: RealtimeError): void {
  const ts = session.context.clock.now();
  for (const ref of refs) session.outbox.pushControl({ type: 'error', ref, ts, payload: reason.toBody() });
}

/** @returns the commands whose answers were dropped. */
function drop(session: Session, subscription: Subscription): readonly string[] {
  const { channel, outbox } = subscription;
  const { context } = session;
  subscription.ended = true;
  subscription.leaseTimer?.cancel();
  session.subscriptions.delete(channel.name);
  channel.remove(subscription);
  const refs = outbox.purge(subscription);
  context.presence.leave(subscription, 0);
  context.hub.release(channel);
  const { onUnsubscribe } = channel.definition.behaviour;
  if (onUnsubscribe !== undefined) notify(context, onUnsubscribe, subscription.call);
  return refs;
}
