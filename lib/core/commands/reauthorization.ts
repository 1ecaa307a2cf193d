import { RealtimeError } from '../../protocol/realtime-error.js';
import type { DrainSwitch } from '../access/drain-switch.js';
import type { Subscription } from '../hub/subscription.js';
import type { Clock } from '../ports/clock.js';
import type { EngineLogger } from '../ports/logger.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { Authorizer, Grant } from './authorization.js';
import type { Unsubscribe } from './unsubscribe.js';

/** Authorizations that are asked at once: there may be as many as subscriptions, and a database behind each. */
const AT_ONCE = 64;

export interface ReauthorizationDeps {
  readonly authorizer: Authorizer;
  readonly unsubscribe: Unsubscribe;
  readonly sessions: SessionRegistry;
  readonly drain: DrainSwitch;
  readonly clock: Clock;
  readonly logger: EngineLogger;
}

/** Asks authorizations again (G11). A refusal or an error ends the subscription. */
export class Reauthorization {
  constructor(private readonly deps: ReauthorizationDeps) {}

  /** Asks again when a grant for a time is over. */
  schedule(session: Session, subscription: Subscription, { forMs }: Grant): void {
    if (forMs === undefined) return subscription.scheduleLease(undefined);
    const timer = this.deps.clock.schedule(forMs, () => {
      // The handler may need what is closed already, and its error would take the channel from a client that only moves on.
      if (!this.deps.drain.isDraining) void this.reauthorize(session, subscription);
    });
    subscription.scheduleLease(timer);
  }

  /** Asks now. Never rejects. */
  async reauthorize(session: Session, subscription: Subscription): Promise<void> {
    const { authorizer, unsubscribe, logger } = this.deps;
    try {
      const match = authorizer.resolve(subscription.name);
      // The user may have sent a fresh token since: the handler is asked about who it is now.
      const grant = await authorizer.authorize(match, 'subscribe', {
        ...subscription.call,
        user: session.user,
      });
      if (!subscription.ended) this.schedule(session, subscription, grant);
    } catch (error) {
      if (subscription.ended) return;
      const known = error instanceof RealtimeError;
      if (!known) logger.error(`Checking a subscription again failed on connection ${session.id}`, error);
      const reason = new RealtimeError('forbidden', known ? error.message : undefined);
      unsubscribe.end(session, subscription, reason);
    }
  }

  /**
   * Asks every authorization again that a revoke could have taken away: records of revokes were lost, and only the
   * application knows what they said. Never rejects.
   */
  async reauthorizeAll(): Promise<void> {
    const { drain, logger } = this.deps;
    logger.warn('Records of revokes are lost: every authorization is asked again');
    const waiting = this.revocable();
    const work = async (): Promise<void> => {
      for (const [session, subscription] of waiting)
        if (!subscription.ended && !drain.isDraining) await this.reauthorize(session, subscription);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  private *revocable(): Generator<readonly [Session, Subscription]> {
    for (const session of this.deps.sessions.list()) {
      // A revoke names a user.
      if (session.user === undefined) continue;
      for (const subscription of session.channels.list())
        if (subscription.channel.isGuarded) yield [session, subscription];
    }
  }
}
