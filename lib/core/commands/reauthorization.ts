import { RealtimeError } from '../../protocol/realtime-error.js';
import type { RecentReauthorizations } from '../access/recent-reauthorizations.js';
import type { DrainSwitch } from '../access/drain-switch.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import { ChannelSet } from '../channel/channel-set.js';
import type { Subscription } from '../hub/subscription.js';
import type { ChannelDefinition } from '../ports/channel-definition.js';
import type { EnginePorts } from '../ports/settings.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import { isRefusal, shorter, WITHOUT_END, type Authorizer, type Grant } from './authorization.js';
import type { Unsubscribe } from './unsubscribe.js';

/** Most authorizations that run again at the same time: there may be as many as subscriptions, and each may query a database. */
const AT_ONCE = 64;

/** Longest time after which an authorization that failed is asked again, whatever it advised, in milliseconds. */
const MAX_ADVICE_MS = 3_600_000;
const DRAINING = 'This node drains: it asks no authorization any more';
const ROSTER_LOST = 'The members of the channel are no longer shown: subscribe again';

export interface ReauthorizationDeps extends Pick<EnginePorts, 'clock' | 'entropy' | 'logger' | 'settings'> {
  readonly authorizer: Authorizer;
  readonly unsubscribe: Unsubscribe;
  readonly sessions: SessionRegistry;
  readonly drain: DrainSwitch;
  readonly journal: ThrottledLog;
  readonly recent: RecentReauthorizations;
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
  /** Authorizations that were begun so far. */
  private begun = 0;
  /** The newest that is under way, by subscription: only its yes counts. */
  private readonly newest = new Map<Subscription, number>();
  /** The next turn of the event loop, where something waits for it. */
  private turnEnd: Promise<void> | undefined;

  constructor(private readonly deps: ReauthorizationDeps) {}

  /** Asks again when a grant with `forMs` expires, or the time of the channel's `recheck` is over. */
  schedule(session: Session, subscription: Subscription, { forMs = Infinity }: Grant): void {
    const waitMs = Math.min(forMs, this.recheckInMs(subscription));
    if (waitMs === Infinity) return subscription.scheduleLease(undefined);
    this.askIn(waitMs, session, subscription, 0);
  }

  /** At random in the second half of the time: what began together, e.g. after a reconnect of all, does not stay together. */
  private recheckInMs({ definition, channel }: Subscription): number {
    const { settings, entropy } = this.deps;
    const { recheckMs = settings.recheckMs } = definition.policy;
    if (recheckMs === 0 || !(channel.isGuarded || hasGuardedRoster(definition))) return Infinity;
    return recheckMs * (0.5 + entropy.random() / 2);
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
    const number = ++this.begun;
    try {
      // By now the handler's database may be closed.
      if (subscription.ended || this.deps.drain.isDraining) return;
      this.newest.set(subscription, number);
      const grant = await this.ask(session, subscription);
      // One that began later knows more: its answer counts.
      if (subscription.ended || this.newest.get(subscription) !== number) return;
      this.schedule(session, subscription, grant);
      if (subscription.isWithheld) this.deps.proceed(subscription);
    } catch (error) {
      if (subscription.ended) return;
      if (isRefusal(error)) this.deps.unsubscribe.end(session, subscription, error as RealtimeError);
      else if (this.newest.get(subscription) === number)
        this.onFailure(session, subscription, error, failures);
      // Until the later one answers, nothing is known.
      else if (this.newest.has(subscription)) subscription.withhold();
    } finally {
      if (this.newest.get(subscription) === number) this.newest.delete(subscription);
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
    if (session.oversees) return WITHOUT_END;
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
      session.view.about,
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
    const { logger, recent } = this.deps;
    logger.warn(
      'Records of revokes are lost: every subscription of a channel with authorization is authorized again',
    );
    recent.record(undefined, ChannelSet.ALL);
    // A revoke names a user.
    await this.sweep(undefined, ChannelSet.ALL, ({ userId }) => userId !== undefined);
  }

  /**
   * Runs the authorizations of matching subscriptions again. When it resolves, each was answered, or is withheld until it is.
   *
   * @param user of everybody, when left out.
   * @throws RealtimeError `unavailable` on a node that drains: it asks nothing any more.
   */
  async reauthorizeMatching(user: string | undefined, channels: ChannelSet): Promise<void> {
    const { recent, drain } = this.deps;
    // First: a subscribe that is under way sees it at its commit.
    recent.record(user, channels);
    await this.sweep(user, channels);
    if (drain.isDraining) throw new RealtimeError('unavailable', DRAINING);
  }

  private async sweep(
    user: string | undefined,
    channels: ChannelSet,
    isConcerned: (session: Session) => boolean = () => true,
  ): Promise<void> {
    const { sessions, drain } = this.deps;
    const waiting = matching(user === undefined ? sessions.list() : sessions.ofUser(user), channels);
    const work = async (): Promise<void> => {
      for (const [session, subscription] of waiting) {
        if (subscription.ended || drain.isDraining || !isConcerned(session)) continue;
        await this.reauthorize(session, subscription);
        // Authorizations that answer at once would take the whole turn.
        await this.nextTurn();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  private nextTurn(): Promise<void> {
    this.turnEnd ??= new Promise((resolve) =>
      setImmediate(() => {
        this.turnEnd = undefined;
        resolve();
      }),
    );
    return this.turnEnd;
  }
}

/** Subscriptions to channels of the set whose authorization could answer otherwise than before. */
function* matching(
  sessions: readonly Session[],
  channels: ChannelSet,
): Generator<readonly [Session, Subscription]> {
  for (const session of sessions)
    for (const subscription of session.channels.list()) {
      const { channel, name, definition, presenceVersion } = subscription;
      const isAsked = channel.isGuarded || (presenceVersion !== undefined && hasGuardedRoster(definition));
      if (isAsked && channels.has(name)) yield [session, subscription];
    }
}

function hasGuardedRoster({ behaviour }: ChannelDefinition): boolean {
  const { presence } = behaviour.authorize;
  return presence !== undefined && presence !== 'public';
}

/** What the log says of an error; of a thrown value that is none, nothing (G25). */
function textOf(error: unknown): string {
  return error instanceof Error ? error.message : 'what it threw is no Error';
}
