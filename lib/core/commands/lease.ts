import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Subscription } from '../hub/subscription.js';
import type { Session } from '../session/session.js';
import { authorize, type Grant } from './authorization.js';
import { endSubscription } from './unsubscribe.js';

/** Checks a grant for a time again when the time is over (G11); a refusal or an error ends the subscription. */
export function followGrant(session: Session, subscription: Subscription, grant: Grant): void {
  if (grant.forMs === undefined) return;
  subscription.leaseTimer = session.context.clock.schedule(grant.forMs, () => {
    // The handler may need what is closed already, and its error would take the channel from a client that only moves on.
    if (!session.context.draining) void recheck(session, subscription);
  });
}

/** Asks the authorization again; a refusal or an error ends the subscription. Never rejects. */
export async function recheck(session: Session, subscription: Subscription): Promise<void> {
  const { channel, call } = subscription;
  try {
    const match = session.context.channels.resolve(channel.name);
    // The user may have sent a fresh token since: the handler is asked about who it is now.
    const grant = await authorize(session, match, 'subscribe', { ...call, user: session.user });
    if (subscription.ended) return;
    subscription.leaseTimer?.cancel();
    subscription.leaseTimer = undefined;
    followGrant(session, subscription, grant);
  } catch (error) {
    if (subscription.ended) return;
    const known = error instanceof RealtimeError;
    if (!known)
      session.context.logger.error(`Checking a subscription again failed on connection ${session.id}`, error);
    endSubscription(session, subscription, new RealtimeError('forbidden', known ? error.message : undefined));
  }
}
