import { RealtimeError } from '../../protocol/realtime-error.js';
import type { ChannelMatch } from '../channel/channel.registry.js';
import type { AuthorizationResult, ChannelAction, HandlerCall } from '../channel/channel-definition.js';
import type { Subscription } from '../delivery/subscription.js';
import { bounded } from '../ports/bounded.js';
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

/** @throws RealtimeError when the ground of an authorization is gone: access was revoked, or the subscription ended (G11). */
export type StillAllowed = () => void;

/**
 * For commands that need the connection's own live subscription unless the channel declares an authorization of
 * their own (G10). A subscribe that is under way is waited for: clients send both in one frame.
 *
 * @returns The check to be made again before what was read meanwhile is answered.
 */
export async function authorizeSubscriber(
  session: Session,
  match: ChannelMatch,
  action: ChannelAction,
  call: HandlerCall,
): Promise<StillAllowed> {
  const revision = session.context.revocations.current;
  const own = match.definition.behaviour.authorize[action] !== undefined;
  const subscription = own ? undefined : await requireSubscription(session, match.channel);
  if (own) await authorize(session, match, action, call);
  const check = (): void => {
    refuseIfRevoked(session, match.channel, revision);
    if (subscription?.ended === true) throw new RealtimeError('not_subscribed');
  };
  check();
  return check;
}

/** @throws RealtimeError `not_subscribed`. */
export async function requireSubscription(session: Session, channel: string): Promise<Subscription> {
  await session.pendingSubscriptions?.get(channel)?.settled;
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

function toGrant(result: AuthorizationResult): Grant {
  if (result === true) return FOR_GOOD;
  if (typeof result === 'object' && result !== null && result.forMs > 0) return result;
  throw new RealtimeError('forbidden');
}
