import type { SubscribeCommand } from '../../protocol/commands.js';
import { PRESENCE_COUNT } from '../../protocol/features.js';
import type { PresencePage, SubscribeResult } from '../../protocol/messages.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { HandlerCall } from '../ports/channel-definition.js';
import type { ChannelMatch } from '../channel/registry.js';
import type { RecoveryPlan } from '../hub/recovery.js';
import { Subscription } from '../hub/subscription.js';
import type { LocalChannel } from '../hub/local-channel.js';
import { isPromise, whenReady, type MaybePromise } from '../ports/maybe-promise.js';
import type { Session } from '../session/session.js';
import { graceAfter } from './teardown.js';
import { authorize, refuseIfRevoked, refuseIfWithheld, type Grant } from './authorization.js';
import { followGrant } from './lease.js';
import { notify } from './lifecycle.js';
import { planWithSnapshot, type PlanWithSnapshot } from './snapshot.js';
import { unwritable } from './unwritable.js';

/** Reads of the members while they change under the reader. */
const PAGE_ATTEMPTS = 3;

/** A subscribe that is under way. */
export class PendingSubscription {
  /** Set by `unsubscribe`, a revoke or the end of the session: it must not be committed. */
  cancelled = false;
  /** Settles, without failing, when it was committed or refused. */
  settled: Promise<void> = Promise.resolve();
}

/** What one subscribe knows by the time that it may join. */
interface Attempt {
  readonly command: SubscribeCommand;
  readonly pending: PendingSubscription;
  readonly call: HandlerCall;
  /** {@link Revocations.current} when it began. */
  readonly revision: number;
  readonly grant: Grant;
}

/**
 * Authorizes, finds where the subscriber continues, commits, answers, and starts delivery (protocol §4). Where nothing has to
 * be waited for, all of it at once.
 */
export function subscribe(session: Session, command: SubscribeCommand): MaybePromise<void> {
  const { channel } = command;
  const match = session.context.channels.resolve(channel);
  const earlier = session.pendingSubscriptions?.get(channel);
  if (session.subscriptions.has(channel) || earlier?.cancelled === false) {
    throw new RealtimeError('already_subscribed');
  }
  const { maxChannels } = session.context.settings.limits;
  if (session.subscriptions.size + (session.pendingSubscriptions?.size ?? 0) >= maxChannels) {
    throw new RealtimeError('too_many_channels', `A connection may hold ${maxChannels} subscriptions`);
  }
  const pending = new PendingSubscription();
  // One that was called off must be gone before this one takes its place.
  const made =
    earlier === undefined
      ? make(session, command, match, pending)
      : earlier.settled.then(() => make(session, command, match, pending));
  return isPromise(made) ? whileUnderWay(session, channel, pending, made) : made;
}

/** Lets `unsubscribe`, revokes and other commands for the channel find the subscribe until it is done. */
function whileUnderWay(
  session: Session,
  channel: string,
  pending: PendingSubscription,
  made: Promise<void>,
): Promise<void> {
  const underWay = (session.pendingSubscriptions ??= new Map<string, PendingSubscription>());
  underWay.set(channel, pending);
  const done = made.finally(() => {
    if (underWay.get(channel) === pending) underWay.delete(channel);
    if (underWay.size === 0 && session.pendingSubscriptions === underWay)
      session.pendingSubscriptions = undefined;
  });
  pending.settled = done.catch(() => undefined);
  return done;
}

function make(
  session: Session,
  command: SubscribeCommand,
  match: ChannelMatch,
  pending: PendingSubscription,
): MaybePromise<void> {
  const { hub, revocations } = session.context;
  const revision = revocations.current;
  const call = session.call(match, command.id, '', command.payload.params);
  return whenReady(authorize(session, match, 'subscribe', call), (grant) => {
    refuseIfOver(session, pending);
    refuseIfWithheld(session, match.definition);
    return whenReady(hub.acquire(match), (channel) =>
      join(session, channel, { command, pending, call, revision, grant }),
    );
  });
}

function join(session: Session, channel: LocalChannel, attempt: Attempt): MaybePromise<void> {
  const { context } = session;
  const { command, call } = attempt;
  const subscription = new Subscription(session.outbox, channel, call, command.payload.snapshot !== false);
  subscription.takesCounts = session.features.includes(PRESENCE_COUNT);
  const undo = (error: unknown): never => {
    subscription.ended = true;
    // A connection that was lost meanwhile may come back, as with a subscription that was made.
    const { closedWith } = session;
    const graceMs = closedWith === undefined ? 0 : graceAfter(closedWith, channel.definition.policy);
    context.presence.leave(subscription, graceMs);
    context.hub.release(channel);
    throw error;
  };
  const start = (): void => {
    context.catchUp.pump(subscription);
    afterCommit(session, subscription);
  };
  let committed: MaybePromise<void>;
  try {
    const planned = planWithSnapshot(context, subscription, command.payload.position);
    committed = whenReady(planned, (found) =>
      whenReady(enterPresence(session, subscription, command), (presence) =>
        answer(session, subscription, attempt, found, presence),
      ),
    );
  } catch (error) {
    return undo(error);
  }
  return isPromise(committed) ? committed.then(start, undo) : start();
}

/** Nothing waits between the checks and the answer: what is checked is true when it is sent. */
function answer(
  session: Session,
  subscription: Subscription,
  attempt: Attempt,
  found: PlanWithSnapshot,
  presence: PresencePage | undefined,
  reads = PAGE_ATTEMPTS,
): MaybePromise<void> {
  const { channel } = subscription;
  // A diff that went out while the page was read is neither in it nor was it sent to this subscriber.
  if (reads > 0 && channel.presence?.hasMissed(subscription, presence) === true) {
    const again = session.context.presence.page(channel.name);
    return again.then((page) => answer(session, subscription, attempt, found, page, reads - 1));
  }
  const { command, pending, revision, grant } = attempt;
  const { plan, snapshot } = found;
  refuseIfOver(session, pending);
  refuseIfWithheld(session, channel.definition);
  refuseIfRevoked(session, channel.name, revision);
  const members = presence && channel.presence?.answer(subscription, presence);
  try {
    session.reply(command.id, toResult(plan, snapshot, members), subscription);
  } catch (error) {
    throw snapshot === undefined
      ? error
      : unwritable(`the snapshot handler of ${channel.definition.source}`, error);
  }
  // The answer can fail on a snapshot that cannot be encoded, and end a session that is too slow for it.
  refuseIfOver(session, pending);
  commit(session, subscription, plan, grant);
  if (presence !== undefined) channel.presence?.follow(subscription, presence);
}

function refuseIfOver(session: Session, pending: PendingSubscription): void {
  if (session.isClosed || pending.cancelled) {
    throw new RealtimeError('not_subscribed', 'The subscription was ended before it was made');
  }
}

function enterPresence(
  session: Session,
  subscription: Subscription,
  { payload }: SubscribeCommand,
): MaybePromise<PresencePage | undefined> {
  const { presence: tracker } = session.context;
  const { channel } = subscription;
  if (payload.presence === false || channel.definition.policy.presence === false) return undefined;
  const { data, receive } = payload.presence ?? {};
  const entry = {
    channel: channel.name,
    member: session.member,
    device: session.lineage,
    generation: session.generation,
    ...(data === undefined ? {} : { data }),
  };
  const entered = tracker.enter(subscription, entry);
  return entered.then(() => (receive === false ? undefined : tracker.page(channel.name)));
}

function commit(session: Session, subscription: Subscription, plan: RecoveryPlan, grant: Grant): void {
  const { channel } = subscription;
  subscription.epoch = plan.position.epoch;
  subscription.cursor = plan.cursor;
  subscription.resumedAt = resumedAt(plan);
  session.subscriptions.set(channel.name, subscription);
  channel.subscriptions.add(subscription);
  followGrant(session, subscription, grant);
}

function afterCommit(session: Session, subscription: Subscription): void {
  if (subscription.ended) return;
  const { behaviour } = subscription.channel.definition;
  // Taken over from an older generation: for the application nothing began (P28).
  const inherited = session.inherited?.delete(subscription.channel.name) === true;
  if (!inherited && behaviour.onSubscribe !== undefined)
    notify(session.context, behaviour.onSubscribe, subscription.call);
}

/** Where `resumed` has its place: a replay always ends with it (P12). */
export function resumedAt(plan: RecoveryPlan): number | undefined {
  return plan.recovery === 'complete' || plan.recovery === 'truncated' ? plan.position.seq : undefined;
}

/** The body of a subscribe answer and of `reset` (P11). */
export function toResult(plan: RecoveryPlan, snapshot: unknown, presence?: PresencePage): SubscribeResult {
  const { recovery, position, reason, from, to, cause } = plan;
  return {
    position,
    recovery,
    ...(reason === undefined ? {} : { reason }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(cause === undefined ? {} : { cause }),
    ...(snapshot === undefined ? {} : { snapshot }),
    ...(presence === undefined ? {} : { presence }),
  };
}
