import { RealtimeError } from '../../protocol/realtime-error.js';
import type { DrainSwitch } from '../access/drain-switch.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { Subscription } from '../hub/subscription.js';
import type { EnginePorts } from '../ports/settings.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import { isRefusal, shorter, type Authorizer, type Grant } from './authorization.js';
import type { Unsubscribe } from './unsubscribe.js';

/** Most authorizations that run again at the same time: there may be as many as subscriptions, and each may query a database. */
const AT_ONCE = 64;

/** Longest time after which an authorization that failed is asked again, whatever it advised, in milliseconds. */
const MAX_ADVICE_MS = 3_600_000;
const ROSTER_LOST = 'The members of the channel are no longer shown: subscribe again';

export interface ReauthorizationDeps extends Pick<EnginePorts, 'clock' | 'entropy' | 'logger' | 'settings'> {
  readonly authorizer: Authorizer;
  readonly unsubscribe: Unsubscribe;
  readonly sessions: SessionRegistry;
  readonly drain: DrainSwitch;
  readonly journal: ThrottledLog;
  /** Continues the delivery of a subscription that was withheld. */
  readonly proceed: (subscription: Subscription) => void;
}

/**
 * Runs the authorization of subscriptions again (G11). Only a no ends a subscription. What an authorization gave lasts until it
 * answers: withheld at once, every lease would refuse the requests of some milliseconds. When it fails, or did not answer within
 * `handlerTimeout`, nothing is known: delivery is withheld, and it is asked again after a growing pause. So it is for one that
 * waits as long for its turn, as only a few are asked at a time.
 */
export class Reauthorization {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly deps: ReauthorizationDeps) {}

  /** Asks again when a grant with `forMs` expires. */
  schedule(session: Session, subscription: Subscription, { forMs }: Grant): void {
    if (forMs === undefined) return subscription.scheduleLease(undefined);
    this.askIn(forMs, session, subscription, 0);
  }

  /** @param failures in a row, so far. */
  private askIn(ms: number, session: Session, subscription: Subscription, failures: number): void {
    const timer = this.deps.clock.schedule(ms, () => {
      // During a drain the handler's database may be closed: the client moves to another node, which asks.
      if (!this.deps.drain.isDraining) void this.reauthorize(session, subscription, failures);
    });
    subscription.scheduleLease(timer);
  }

  /** Never rejects. */
  private async reauthorize(session: Session, subscription: Subscription, failures = 0): Promise<void> {
    if (this.running < AT_ONCE) this.running++;
    else await this.turn(subscription);
    try {
      // By now the handler's database may be closed.
      if (subscription.ended || this.deps.drain.isDraining) return;
      const grant = await this.ask(session, subscription);
      if (subscription.ended) return;
      this.schedule(session, subscription, grant);
      if (subscription.isWithheld) this.deps.proceed(subscription);
    } catch (error) {
      if (subscription.ended) return;
      if (isRefusal(error)) this.deps.unsubscribe.end(session, subscription, error as RealtimeError);
      else this.onFailure(session, subscription, error, failures);
    } finally {
      this.pass();
    }
  }

  private turn(subscription: Subscription): Promise<void> {
    const { clock, settings, journal } = this.deps;
    const timer = clock.schedule(settings.handlerTimeoutMs, () => {
      subscription.withhold();
      journal.warn(
        'reauthorizations',
        () =>
          `More than ${AT_ONCE} authorizations of subscriptions have expired and are not answered: what waits longer than ` +
          'handlerTimeout is delivered when they are. Answer faster, or authorize for longer',
      );
    });
    subscription.scheduleLease(timer);
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** The place passes to the next one. */
  private pass(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.running--;
    else next();
  }

  /** Everything that the subscriber is given: new events, and the members where it is shown them. */
  private async ask(session: Session, subscription: Subscription): Promise<Grant> {
    const { authorizer } = this.deps;
    const match = authorizer.resolve(session, subscription.name);
    // The user may have sent a new token since: the handler is asked about the present identity.
    const call = { ...subscription.call, user: session.user };
    const grant = await authorizer.authorize(match, 'subscribe', call);
    if (subscription.presenceVersion === undefined || subscription.ended) return grant;
    const roster = await authorizer.permit(match, 'presence', { ...call, payload: {} });
    if (roster !== undefined) return shorter(grant, roster);
    // Its client would keep a list that nothing corrects any more. It subscribes again, and is given none.
    if (!subscription.ended)
      this.deps.unsubscribe.end(session, subscription, new RealtimeError('unavailable', ROSTER_LOST));
    return grant;
  }

  private onFailure(session: Session, subscription: Subscription, error: unknown, failures: number): void {
    const { journal, entropy, settings } = this.deps;
    const { baseMs, maxMs } = settings.retry;
    const { pattern } = subscription.definition;
    journal.warn(
      `reauthorization ${pattern}`,
      () =>
        `Authorizing a subscription to ${pattern} again failed on connection ${session.id} (${textOf(error)}). ` +
        'Nothing of it is delivered until its authorization answers; it is asked again',
    );
    subscription.withhold();
    const backoff = Math.min(maxMs, baseMs * 2 ** failures) * (0.5 + entropy.random() / 2);
    const advised = error instanceof RealtimeError ? (error.retryAfterMs ?? 0) : 0;
    const waitMs = advised > backoff ? Math.min(advised, MAX_ADVICE_MS) : backoff;
    this.askIn(waitMs, session, subscription, failures + 1);
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

/** What the log says of an error; of a thrown value that is none, nothing (G25). */
function textOf(error: unknown): string {
  return error instanceof Error ? error.message : 'what it threw is no Error';
}
