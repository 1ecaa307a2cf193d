import { CLOSE_CODES } from '../../protocol/close-codes.js';
import type { ChannelPolicy, HandlerCall } from '../ports/channel-definition.js';
import { notifyUnsubscribed } from './lifecycle.js';
import type { Session } from '../session/session.js';

/** Codes after which the client does not come back: its membership ends at once, without grace. */
const LEFT_FOR_GOOD: ReadonlySet<number> = new Set<number>([
  CLOSE_CODES.normal.code,
  CLOSE_CODES.kicked.code,
  CLOSE_CODES.banned.code,
  CLOSE_CODES.forbidden.code,
]);

/** How long a member may stay away whose connection ended with `code`, in milliseconds (G19). */
export function graceAfter(code: number, { presence }: ChannelPolicy): number {
  return presence === false || LEFT_FOR_GOOD.has(code) ? 0 : presence.graceMs;
}

/** Takes a session that ended out of its channels. */
export function leaveChannels(session: Session, code: number): void {
  const { context } = session;
  const superseded = code === CLOSE_CODES.superseded.code;
  for (const pending of session.pendingSubscriptions?.values() ?? []) pending.cancelled = true;
  const ended: HandlerCall[] = [...(session.inherited?.values() ?? [])];
  for (const subscription of session.subscriptions.values()) {
    const { channel } = subscription;
    subscription.ended = true;
    subscription.leaseTimer?.cancel();
    channel.remove(subscription);
    context.presence.leave(subscription, graceAfter(code, channel.definition.policy));
    context.hub.release(channel);
    ended.push(subscription.call);
  }
  session.subscriptions.clear();
  session.inherited?.timer?.cancel();
  session.inherited = undefined;
  // The newer generation inherited the channels, and with them the hooks (P28).
  if (superseded) return;
  for (const call of ended) notifyUnsubscribed(context, call);
}
