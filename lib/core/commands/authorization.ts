import { RealtimeError } from '../../protocol/realtime-error.js';
import type { AccessGuard } from '../access/access-guard.js';
import { withTimeout } from '../async/with-timeout.js';
import type { ChannelMatch, ChannelRegistry } from '../channel/registry.js';
import type { Subscription } from '../hub/subscription.js';
import type {
  AuthorizationResult,
  AuthorizeHandler,
  ChannelAction,
  HandlerCall,
} from '../ports/channel-definition.js';
import type { Clock } from '../ports/clock.js';
import { isPromise, whenReady, type MaybePromise } from '../ports/maybe-promise.js';
import type { Observer, Outcome } from '../ports/observer.js';
import type { Session } from '../session/session.js';

/** A positive authorization: for good, or for some milliseconds. */
export type Grant = { readonly forMs?: number };

const FOR_GOOD: Grant = {};

/**
 * @throws RealtimeError when the ground of an authorization is gone: access was revoked, or may have been, or the subscription
 * ended (G11).
 */
export type StillAllowed = () => void;

export interface AuthorizerDeps {
  readonly channels: ChannelRegistry;
  readonly access: AccessGuard;
  readonly clock: Clock;
  readonly observer: Observer;
  readonly settings: { readonly handlerTimeoutMs: number };
}

/** Asks the application, and the records of revokes, whether a session may do what it wants to do (G10, G11). */
export class Authorizer {
  constructor(private readonly deps: AuthorizerDeps) {}

  /**
   * Asks the application. Synchronous when the application is.
   *
   * @throws RealtimeError `forbidden`, or what the authorizer threw.
   */
  authorize({ definition }: ChannelMatch, action: ChannelAction, call: HandlerCall): MaybePromise<Grant> {
    const rule = definition.behaviour.authorize[action];
    if (rule === undefined) throw new RealtimeError('forbidden');
    return this.decide(rule, call, definition.pattern, action);
  }

  /** The same by a rule that is known already. @param pattern of the channel; `''` for a request without one. */
  decide(
    rule: AuthorizeHandler | 'public',
    call: HandlerCall,
    pattern: string,
    action: ChannelAction,
  ): MaybePromise<Grant> {
    if (rule === 'public') return FOR_GOOD;
    const { observer, clock } = this.deps;
    if (observer.onAuthorization === undefined) return this.ask(rule, call);
    const startedAt = clock.monotonic();
    const notify = (outcome: Outcome): void =>
      observer.onAuthorization?.(call, pattern, action, outcome, clock.monotonic() - startedAt);
    const refused = (error: unknown): never => {
      notify(error instanceof RealtimeError ? error.code : 'internal');
      throw error;
    };
    const granted = (grant: Grant): Grant => {
      notify('ok');
      return grant;
    };
    let grant: MaybePromise<Grant>;
    try {
      grant = this.ask(rule, call);
    } catch (error) {
      return refused(error);
    }
    return isPromise(grant) ? grant.then(granted, refused) : granted(grant);
  }

  private ask(rule: AuthorizeHandler, call: HandlerCall): MaybePromise<Grant> {
    const { settings, clock } = this.deps;
    return whenReady(withTimeout(rule(call), settings.handlerTimeoutMs, clock), toGrant);
  }

  /**
   * For commands that need the connection's own live subscription unless the channel declares an authorization of
   * their own (G10). A subscribe that is under way is waited for: clients send both in one frame.
   *
   * @returns The check to be made again before the answer that was prepared since is sent.
   */
  authorizeSubscriber(
    session: Session,
    match: ChannelMatch,
    action: ChannelAction,
    call: HandlerCall,
  ): MaybePromise<StillAllowed> {
    const { access } = this.deps;
    const { revision } = access;
    const allowed = (subscription?: Subscription): StillAllowed => {
      const check = (): void => {
        access.requireFresh(match.definition);
        access.requireUnrevoked(session.user?.id, match.channel, revision);
        if (subscription?.ended === true) throw new RealtimeError('not_subscribed');
      };
      check();
      return check;
    };
    if (match.definition.behaviour.authorize[action] === undefined) {
      const subscription = requireSubscription(session, match.channel);
      return isPromise(subscription) ? subscription.then(allowed) : allowed(subscription);
    }
    const grant = this.authorize(match, action, call);
    return isPromise(grant) ? grant.then(() => allowed()) : allowed();
  }

  /** @throws RealtimeError `unknown_channel` (G9). */
  resolve(channel: string): ChannelMatch {
    return this.deps.channels.resolve(channel);
  }

  /**
   * The definition that a channel of a command belongs to. For a live subscription it is known already; names of channels
   * are not looked up for every message.
   *
   * @throws RealtimeError `unknown_channel` (G9).
   */
  matchOf(session: Session, channel: string): ChannelMatch {
    const subscription = session.channels.get(channel);
    if (subscription === undefined) return this.resolve(channel);
    return { channel, definition: subscription.channel.definition, params: subscription.call.params };
  }
}

/** @throws RealtimeError `not_subscribed`. */
export function requireSubscription(session: Session, channel: string): MaybePromise<Subscription> {
  const pending = session.channels.pendingOf(channel);
  return pending === undefined
    ? subscriptionOf(session, channel)
    : pending.settled.then(() => subscriptionOf(session, channel));
}

function subscriptionOf(session: Session, channel: string): Subscription {
  const subscription = session.channels.get(channel);
  if (subscription === undefined) throw new RealtimeError('not_subscribed');
  return subscription;
}

/** @throws RealtimeError `forbidden` for everything but `true` and a lease that has some time. */
export function toGrant(result: AuthorizationResult): Grant {
  if (result === true) return FOR_GOOD;
  if (typeof result === 'object' && result !== null && result.forMs > 0) return result;
  throw new RealtimeError('forbidden');
}
