import type { UnsubscribeCommand } from '../../protocol/commands.js';
import type { RealtimeError } from '../../protocol/realtime-error.js';
import type { Subscription } from '../delivery/subscription.js';
import type { Session } from '../session/session.js';
import { notify } from './lifecycle.js';

/** Ends a subscription on the client's wish. Idempotent; a subscribe that is under way is called off. */
export function unsubscribe(session: Session, command: UnsubscribeCommand): void {
  const pending = session.pendingSubscriptions.get(command.channel);
  if (pending !== undefined) pending.cancelled = true;
  const subscription = session.subscriptions.get(command.channel);
  if (subscription !== undefined) drop(session, subscription);
  session.replyControl(command.id, {});
}

/** Ends a subscription by the server's decision, and says why (P24). */
export function endSubscription(session: Session, subscription: Subscription, reason: RealtimeError): void {
  drop(session, subscription);
  const { code, message, retryable, retryAfterMs } = reason;
  session.outbox.pushControl({
    type: 'unsubscribed',
    channel: subscription.channel.name,
    ts: session.context.clock.now(),
    payload: { code, message, retryable, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
  });
}

function drop(session: Session, subscription: Subscription): void {
  const { channel, outbox } = subscription;
  const { context } = session;
  subscription.ended = true;
  subscription.leaseTimer?.cancel();
  session.subscriptions.delete(channel.name);
  channel.remove(subscription);
  outbox.purge(subscription);
  context.presence.leave(subscription, 0);
  context.hub.release(channel);
  const { onUnsubscribe } = channel.definition.behaviour;
  if (onUnsubscribe !== undefined) notify(context, onUnsubscribe, subscription.call);
}
