import { RealtimeError } from '../../protocol/realtime-error.js';
import type { DrainSwitch } from '../access/drain-switch.js';
import type { Subscription } from '../hub/subscription.js';
import type { EnginePorts } from '../ports/settings.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { Authorizer, Grant } from './authorization.js';
import type { Unsubscribe } from './unsubscribe.js';

/** Most authorizations that run at the same time: there may be as many as subscriptions, and each may query a database. */
const AT_ONCE = 64;

export interface ReauthorizationDeps extends Pick<EnginePorts, 'clock' | 'logger'> {
  readonly authorizer: Authorizer;
  readonly unsubscribe: Unsubscribe;
  readonly sessions: SessionRegistry;
  readonly drain: DrainSwitch;
}

/** Runs the authorization of subscriptions again (G11). A refusal or an error ends the subscription. */
export class Reauthorization {
  constructor(private readonly deps: ReauthorizationDeps) {}

  /** Asks again when a grant with `forMs` expires. */
  schedule(session: Session, subscription: Subscription, { forMs }: Grant): void {
    if (forMs === undefined) return subscription.scheduleLease(undefined);
    const timer = this.deps.clock.schedule(forMs, () => {
      // During a drain the handler's database may be closed, and its error would end the subscription of a client that only
      // moves to another node.
      if (!this.deps.drain.isDraining) void this.reauthorize(session, subscription);
    });
    subscription.scheduleLease(timer);
  }

  /** Never rejects. */
  private async reauthorize(session: Session, subscription: Subscription): Promise<void> {
    const { authorizer, unsubscribe, logger } = this.deps;
    try {
      const match = authorizer.resolve(session, subscription.name);
      // The user may have sent a new token since: the handler is asked about the present identity.
      const grant = await authorizer.authorize(match, 'subscribe', {
        ...subscription.call,
        user: session.user,
      });
      if (!subscription.ended) this.schedule(session, subscription, grant);
    } catch (error) {
      if (subscription.ended) return;
      const known = error instanceof RealtimeError;
      if (!known)
        logger.error(
          `Authorizing the subscription to ${subscription.channel.definition.source} again failed on connection ${session.id}; it ends`,
          error,
        );
      const reason = new RealtimeError('forbidden', known ? error.message : undefined);
      unsubscribe.end(session, subscription, reason);
    }
  }

  /**
   * Runs every authorization again that a revoke could have taken away: records of revokes were lost, and only the
   * application knows what they said. Never rejects.
   */
  async reauthorizeAll(): Promise<void> {
    const { drain, logger } = this.deps;
    logger.warn(
      'Records of revokes are lost: every subscription of a channel with authorization is authorized again',
    );
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
      if (session.userId === undefined) continue;
      for (const subscription of session.channels.list())
        if (subscription.channel.isGuarded) yield [session, subscription];
    }
  }
}
