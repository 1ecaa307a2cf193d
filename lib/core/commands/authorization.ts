import { RealtimeError } from '../../protocol/realtime-error.js';
import type { ChannelMatch } from '../channel/registry.js';
import {
  isGuarded,
  type AuthorizationResult,
  type ChannelAction,
  type ChannelDefinition,
  type HandlerCall,
} from '../ports/channel-definition.js';
import type { Subscription } from '../hub/subscription.js';
import { bounded } from '../async/with-timeout.js';
import { isPromise, type MaybePromise } from '../ports/maybe-promise.js';
import type { Session } from '../session/session.js';

/** A positive authorization: for good, or for some milliseconds. */
export type Grant = { readonly forMs?: number };

const FOR_GOOD: Grant = {};

/**
 * Asks the application whether the session may do this (G10). Synchronous when the application is.
 *
 * @throws RealtimeError `forbidden`, or what the authorizer threw.
 */
export function authorize(
  session: Session,
  match: ChannelMatch,
  action: ChannelAction,
  call: HandlerCall,
): MaybePromise<Grant> {
  const rule = match.definition.behaviour.authorize[action];
  if (rule === 'public') return FOR_GOOD;
  if (rule === undefined) throw new RealtimeError('forbidden');
  const { settings, clock } = session.context;
  const result = bounded(rule(call), settings.handlerTimeoutMs, clock);
  return isPromise(result) ? result.then(toGrant) : toGrant(result);
}

/**
 * @throws RealtimeError when the ground of an authorization is gone: access was revoked, or may have been, or the subscription
 * ended (G11).
 */
export type StillAllowed = () => void;

/**
 * For commands that need the connection's own live subscription unless the channel declares an authorization of
 * their own (G10). A subscribe that is under way is waited for: clients send both in one frame.
 *
 * @returns The check to be made again before what was read meanwhile is answered.
 */
export function authorizeSubscriber(
  session: Session,
  match: ChannelMatch,
  action: ChannelAction,
  call: HandlerCall,
): MaybePromise<StillAllowed> {
  const revision = session.context.revocations.current;
  const allowed = (subscription?: Subscription): StillAllowed => {
    const check = (): void => {
      refuseIfWithheld(session, match.definition);
      refuseIfRevoked(session, match.channel, revision);
      if (subscription?.ended === true) throw new RealtimeError('not_subscribed');
    };
    check();
    return check;
  };
  if (match.definition.behaviour.authorize[action] === undefined) {
    const subscription = requireSubscription(session, match.channel);
    return isPromise(subscription) ? subscription.then(allowed) : allowed(subscription);
  }
  const grant = authorize(session, match, action, call);
  return isPromise(grant) ? grant.then(() => allowed()) : allowed();
}

/** @throws RealtimeError `not_subscribed`. */
export function requireSubscription(session: Session, channel: string): MaybePromise<Subscription> {
  const underWay = session.pendingSubscriptions?.get(channel)?.settled;
  return underWay === undefined
    ? subscriptionOf(session, channel)
    : underWay.then(() => subscriptionOf(session, channel));
}

/**
 * The definition that a channel of a command belongs to. For a live subscription it is known already; names of channels are
 * not looked up for every message.
 *
 * @throws RealtimeError `unknown_channel` (G9).
 */
export function matchOf(session: Session, channel: string): ChannelMatch {
  const subscription = session.subscriptions.get(channel);
  if (subscription === undefined) return session.context.channels.resolve(channel);
  return { channel, definition: subscription.channel.definition, params: subscription.call.params };
}

function subscriptionOf(session: Session, channel: string): Subscription {
  const subscription = session.subscriptions.get(channel);
  if (subscription === undefined) throw new RealtimeError('not_subscribed');
  return subscription;
}

/** @throws RealtimeError `forbidden` when the user lost the channel since `revision`: a revoke that races wins (G11). */
export function refuseIfRevoked(session: Session, channel: string, revision: number): void {
  if (session.context.revocations.revokedSince(revision, session.user?.id, channel)) {
    throw new RealtimeError('forbidden', 'Access was revoked');
  }
}

/**
 * @throws RealtimeError `unavailable` while a revoke may be in force that this node does not know; of a channel that is not
 * public it then tells nothing (G11).
 */
export function refuseIfWithheld({ context }: Session, definition: ChannelDefinition): void {
  if (isGuarded(definition) && context.revokeView.isStale)
    throw new RealtimeError('unavailable', 'It cannot be proved at the moment that access was not revoked');
}

/** @throws RealtimeError `forbidden` for everything but `true` and a lease that has some time. */
export function toGrant(result: AuthorizationResult): Grant {
  if (result === true) return FOR_GOOD;
  if (typeof result === 'object' && result !== null && result.forMs > 0) return result;
  throw new RealtimeError('forbidden');
}
