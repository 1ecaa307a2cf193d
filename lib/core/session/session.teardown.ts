import { CLOSE_CODES } from '../../protocol/close-codes.js';
import type { HandlerCall } from '../channel/channel-definition.js';
import { notify } from '../commands/lifecycle.js';
import type { Session } from './session.js';

/** Codes after which the client does not come back: its membership ends at once, without grace. */
const LEFT_FOR_GOOD: ReadonlySet<number> = new Set<number>([
  CLOSE_CODES.normal.code,
  CLOSE_CODES.kicked.code,
  CLOSE_CODES.banned.code,
  CLOSE_CODES.forbidden.code,
]);

/** Takes a session that ended out of its channels. */
export function leaveChannels(session: Session, code: number): void {
  const { context } = session;
  const superseded = code === CLOSE_CODES.superseded.code;
  for (const pending of session.pendingSubscriptions.values()) pending.cancelled = true;
  const ended: HandlerCall[] = [...session.inherited.values()];
  for (const subscription of session.subscriptions.values()) {
    const { channel } = subscription;
    subscription.ended = true;
    subscription.leaseTimer?.cancel();
    channel.remove(subscription);
    const { presence } = channel.definition.policy;
    context.presence.leave(
      subscription,
      presence === false || LEFT_FOR_GOOD.has(code) ? 0 : presence.graceMs,
    );
    context.hub.release(channel);
    ended.push(subscription.call);
  }
  session.subscriptions.clear();
  session.inherited.clear();
  // The newer generation inherited the channels, and with them the hooks (P28).
  if (superseded) return;
  for (const call of ended) {
    const hook = context.channels.find(call.channel)?.definition.behaviour.onUnsubscribe;
    if (hook !== undefined) notify(context, hook, call);
  }
}
