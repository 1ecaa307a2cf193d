import type { Subscription } from '../hub/subscription.js';
import type { EngineContext } from '../engine/context.js';
import type { Session } from '../session/session.js';
import { recheck } from './lease.js';

/** Authorizations that are asked at once: there may be as many as subscriptions, and a database behind each. */
const AT_ONCE = 64;

/**
 * Asks every authorization again that a revoke could have taken away (G11): records of revokes were lost, and only the
 * application knows what they said. A refusal or an error ends the subscription. Never rejects.
 */
export async function recheckAll(context: EngineContext): Promise<void> {
  context.logger.warn('Records of revokes are lost: every authorization is asked again');
  const waiting = revocable(context);
  const work = async (): Promise<void> => {
    for (const [session, subscription] of waiting)
      if (!subscription.ended && !context.draining) await recheck(session, subscription);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

function* revocable({ sessions }: EngineContext): Generator<readonly [Session, Subscription]> {
  for (const session of sessions.list()) {
    // A revoke names a user.
    if (session.user === undefined) continue;
    for (const subscription of [...session.subscriptions.values()])
      if (subscription.channel.isGuarded) yield [session, subscription];
  }
}
