import { CLOSE_CODES } from '../../protocol/close-codes.js';
import type { Hub } from '../hub/hub.js';
import type { PresenceTracker } from '../hub/presence-tracker.js';
import type { ChannelPolicy, HandlerCall } from '../ports/channel-definition.js';
import type { Session } from '../session/session.js';
import type { LifecycleHooks } from './lifecycle.js';

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

export interface TeardownDeps {
  readonly hub: Hub;
  readonly presence: PresenceTracker;
  readonly hooks: LifecycleHooks;
}

/** Takes a session that ended out of its channels. */
export class Teardown {
  constructor(private readonly deps: TeardownDeps) {}

  run(session: Session, code: number): void {
    const { hub, presence, hooks } = this.deps;
    const { inherited, subscriptions } = session.channels.leave();
    const ended: HandlerCall[] = [...inherited];
    for (const subscription of subscriptions) {
      const { channel } = subscription;
      subscription.end();
      channel.remove(subscription);
      presence.leave(subscription, graceAfter(code, channel.definition.policy));
      hub.release(channel);
      ended.push(subscription.call);
    }
    // The newer generation inherited the channels, and with them the hooks (P28).
    if (code === CLOSE_CODES.superseded.code) return;
    for (const call of ended) hooks.unsubscribed(call);
  }
}
