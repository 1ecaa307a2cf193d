import type { SubscribeCommand } from '../../protocol/commands.js';
import { PRESENCE_COUNT } from '../../protocol/features.js';
import type { PresencePage, SubscribeResult } from '../../protocol/messages.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { ChannelMatch } from '../channel/channel.registry.js';
import type { RecoveryPlan } from '../delivery/recovery.js';
import { Subscription } from '../delivery/subscription.js';
import { isPromise } from '../ports/maybe-promise.js';
import type { Session } from '../session/session.js';
import { graceAfter } from '../session/session.teardown.js';
import { authorize, refuseIfRevoked, type Grant } from './authorization.js';
import { followGrant } from './lease.js';
import { notify } from './lifecycle.js';
import { planWithSnapshot } from './snapshot.js';

/** Reads of the members while they change under the reader. */
const PAGE_ATTEMPTS = 3;

/** A subscribe that is under way. */
export interface PendingSubscription {
  /** Set by `unsubscribe`, a revoke or the end of the session: it must not be committed. */
  cancelled: boolean;
  /** Settles, without failing, when it was committed or refused. */
  readonly settled: Promise<void>;
}

/** Authorizes, finds where the subscriber continues, commits, answers, and starts delivery (protocol §4). */
export function subscribe(session: Session, command: SubscribeCommand): Promise<void> {
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
  let settle = (): void => undefined;
  const pending: PendingSubscription = {
    cancelled: false,
    settled: new Promise<void>((resolve) => {
      settle = resolve;
    }),
  };
  const underWay = (session.pendingSubscriptions ??= new Map<string, PendingSubscription>());
  underWay.set(channel, pending);
  // One that was called off must be gone before this one takes its place.
  const made =
    earlier === undefined
      ? make(session, command, match, pending)
      : earlier.settled.then(() => make(session, command, match, pending));
  return made.finally(() => {
    if (underWay.get(channel) === pending) underWay.delete(channel);
    if (underWay.size === 0 && session.pendingSubscriptions === underWay)
      session.pendingSubscriptions = undefined;
    settle();
  });
}

async function make(
  session: Session,
  command: SubscribeCommand,
  match: ChannelMatch,
  pending: PendingSubscription,
): Promise<void> {
  const { hub, revocations } = session.context;
  const revision = revocations.current;
  const call = session.call(match, command.id, '', command.payload.params);
  const grant = authorize(session, match, 'subscribe', call);
  const granted = isPromise(grant) ? await grant : grant;
  refuseIfOver(session, pending);
  const channel = await hub.acquire(match);
  const subscription = new Subscription(session.outbox, channel, call, command.payload.snapshot !== false);
  subscription.takesCounts = session.features.includes(PRESENCE_COUNT);
  try {
    const { plan, snapshot } = await planWithSnapshot(
      session.context,
      subscription,
      command.payload.position,
    );
    let presence = await enterPresence(session, subscription, command);
    // A diff that went out while the page was read is neither in it nor was it sent to this subscriber.
    for (let attempt = 0; attempt < PAGE_ATTEMPTS; attempt++) {
      if (channel.presence?.hasMissed(subscription, presence) !== true) break;
      presence = await session.context.presence.page(channel.name);
    }
    // Nothing waits from here to the answer: what was true when it was checked is true when it is sent.
    refuseIfOver(session, pending);
    refuseIfRevoked(session, match.channel, revision);
    const members = presence && channel.presence?.answer(subscription, presence);
    session.reply(command.id, toResult(plan, snapshot, members), subscription);
    // The answer can fail on a snapshot that cannot be encoded, and end a session that is too slow for it.
    refuseIfOver(session, pending);
    commit(session, subscription, plan, granted);
    if (presence !== undefined) channel.presence?.follow(subscription, presence);
  } catch (error) {
    subscription.ended = true;
    // A connection that was lost meanwhile may come back, as with a subscription that was made.
    const { closedWith } = session;
    const graceMs = closedWith === undefined ? 0 : graceAfter(closedWith, channel.definition.policy);
    session.context.presence.leave(subscription, graceMs);
    hub.release(channel);
    throw error;
  }
  session.context.catchUp.pump(subscription);
  afterCommit(session, subscription);
}

function refuseIfOver(session: Session, pending: PendingSubscription): void {
  if (session.isClosed || pending.cancelled) {
    throw new RealtimeError('not_subscribed', 'The subscription was ended before it was made');
  }
}

async function enterPresence(
  session: Session,
  subscription: Subscription,
  { payload }: SubscribeCommand,
): Promise<PresencePage | undefined> {
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
  subscription.presence = entry;
  await tracker.enter(entry);
  return receive === false ? undefined : await tracker.page(channel.name);
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
