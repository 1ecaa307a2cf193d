import type { SubscribeCommand } from '../../protocol/commands.js';
import { PRESENCE_COUNT } from '../../protocol/envelope.js';
import type { PresencePage, SubscribeResult } from '../../protocol/messages.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { toWireValue } from '../../protocol/wire-value.js';
import type { AccessGuard } from '../access/access-guard.js';
import type { RecentReauthorizations } from '../access/recent-reauthorizations.js';
import type { ChannelMatch } from '../channel/registry.js';
import type { CatchUp } from '../hub/catch-up.js';
import type { Hub } from '../hub/hub.js';
import type { PresenceTracker } from '../hub/presence-tracker.js';
import { resumedAt, type RecoveryPlan } from '../hub/recovery.js';
import { Subscription, type ServedChannel } from '../hub/subscription.js';
import type { HandlerCall } from '../ports/channel-definition.js';
import { attempt, isPromise, whenReady, type MaybePromise } from '../ports/maybe-promise.js';
import type { EnginePorts } from '../ports/settings.js';
import { requireRoom } from '../session/answers.js';
import { PendingSubscription } from '../session/channels.js';
import type { Session } from '../session/session.js';
import { askAgain } from './ask-again.js';
import { shorter, WITHOUT_END, type Authorizer, type Grant } from './authorization.js';
import { continueInTurn, type TurnDeps } from './continue-in-turn.js';
import { handlerCall } from './handler-call.js';
import type { LifecycleHooks } from './lifecycle.js';
import type { Reauthorization } from './reauthorization.js';
import type { PlanWithSnapshot, SubscribePlanner } from './snapshot.js';
import { graceAfter } from './unsubscribe.js';
import { requireSize } from './size-limits.js';

/** Bytes that a subscription counts as, beside its name, parameters and presence data. */
const SUBSCRIPTION_BYTES = 512;

/** Reads of the members while they change under the reader. */
const PAGE_ATTEMPTS = 3;
const ASKED_AGAIN = 'The authorizations of this channel are asked again at the moment. Try again';

/** Bytes that are kept for a subscription. */
interface SubscriptionBytes {
  readonly all: number;
  /** Those of its parameters, which may be released. */
  readonly params: number;
}

/** What one subscribe knows by the time that it may join. */
interface Attempt {
  readonly command: SubscribeCommand;
  readonly pending: PendingSubscription;
  readonly call: HandlerCall;
  /** What the session counts for it. */
  readonly bytes: SubscriptionBytes;
  /** {@link AccessGuard.revision} when it began. */
  readonly revision: number;
  /** {@link RecentReauthorizations.current} when it began. */
  readonly asked: number;
  readonly access: Access;
  /** Whether the channel had to be waited for, so that many may continue at the same moment. */
  readonly hasWaited: boolean;
}

/** What the application allows a subscriber. */
interface Access {
  /** Ends first of all that it allows. */
  readonly grant: Grant;
  /** Whether the events that were missed are sent. */
  readonly replay: boolean;
  /** Whether the members are shown. */
  readonly roster: boolean;
}

/** What the application's own onlookers get: nothing is asked. */
const OVERSEEN: Access = { grant: WITHOUT_END, replay: true, roster: false };

export interface SubscribeDeps extends TurnDeps, Pick<EnginePorts, 'tracer' | 'observer'> {
  readonly authorizer: Authorizer;
  readonly access: AccessGuard;
  readonly hub: Hub;
  readonly planner: SubscribePlanner;
  readonly catchUp: CatchUp;
  readonly presence: PresenceTracker;
  readonly hooks: LifecycleHooks;
  readonly reauthorization: Reauthorization;
  readonly recent: RecentReauthorizations;
}

/**
 * Authorizes, finds where the subscriber continues, commits, answers, and starts delivery (protocol §4). Where nothing has to
 * be waited for, all of it at once.
 */
export class Subscribe {
  constructor(private readonly deps: SubscribeDeps) {}

  run(session: Session, command: SubscribeCommand): MaybePromise<void> {
    const { channel } = command;
    const { channels } = session;
    const match = this.deps.authorizer.resolve(session, channel);
    const earlier = channels.pendingOf(channel);
    if (channels.get(channel) !== undefined || earlier?.cancelled === false) {
      throw new RealtimeError('already_subscribed');
    }
    const { maxChannels = this.deps.settings.limits.maxChannels } = session.allowance;
    if (channels.size >= maxChannels) {
      throw new RealtimeError('too_many_channels', `A connection may hold ${maxChannels} subscriptions`);
    }
    // Nothing is done for a client that does not take the answer.
    requireRoom(session.outbox);
    const bytes = this.measure(command, match);
    session.retain(bytes.all);
    const pending = new PendingSubscription();
    const made = attempt(
      // One that was cancelled must be gone before this one takes its place.
      () => whenReady(earlier?.settled, () => this.authorizeAndJoin(session, command, match, pending, bytes)),
      () => undefined,
      (error) => {
        session.retain(-bytes.all);
        throw askAgain(session, error);
      },
    );
    return isPromise(made) ? channels.follow(channel, pending, made) : made;
  }

  /** @throws RealtimeError `message_too_large`. */
  private measure({ channel, payload }: SubscribeCommand, { definition }: ChannelMatch): SubscriptionBytes {
    const { maxParamsBytes, maxPresenceBytes } = this.deps.settings.limits;
    const params = requireSize(payload.params, 'payload.params', 'maxParamsBytes', maxParamsBytes);
    const isMember = payload.presence !== false && definition.policy.presence !== false;
    const data = isMember
      ? requireSize(shownBy(payload), 'payload.presence.data', 'maxPresenceBytes', maxPresenceBytes)
      : 0;
    return { all: SUBSCRIPTION_BYTES + channel.length + params + data, params };
  }

  private authorizeAndJoin(
    session: Session,
    command: SubscribeCommand,
    match: ChannelMatch,
    pending: PendingSubscription,
    bytes: SubscriptionBytes,
  ): MaybePromise<void> {
    const { authorizer, access, hub, recent } = this.deps;
    const { revision } = access;
    const { current: asked } = recent;
    const call = handlerCall(session, match, command);
    const granted = session.oversees ? WITHOUT_END : authorizer.authorize(match, 'subscribe', call);
    return whenReady(granted, (grant) =>
      whenReady(session.oversees ? OVERSEEN : this.accessOf(match, command, call, grant), (allowed) => {
        refuseIfOver(session, pending);
        access.requireFresh(match.definition);
        const acquired = hub.acquire(match);
        const hasWaited = isPromise(acquired);
        const attempted = { command, pending, call, bytes, revision, asked, access: allowed, hasWaited };
        return whenReady(acquired, (channel) => this.join(session, channel, attempted));
      }),
    );
  }

  /** Asks only for what this subscribe would be given: the replay, and the members. */
  private accessOf(
    match: ChannelMatch,
    { payload }: SubscribeCommand,
    call: HandlerCall,
    grant: Grant,
  ): MaybePromise<Access> {
    const { authorizer } = this.deps;
    const { position, presence } = payload;
    const query = position && { epoch: position.epoch, from: position.seq + 1 };
    const history = query && authorizer.permit(match, 'history', { ...call, payload: query });
    return whenReady(history, (replay) => {
      const watches = match.definition.policy.presence !== false && receivesPresence(presence);
      const asked = watches ? authorizer.permit(match, 'presence', { ...call, payload: {} }) : undefined;
      return whenReady(asked, (roster) => ({
        grant: roster === undefined ? grant : shorter(grant, roster),
        replay: replay !== undefined,
        roster: roster !== undefined,
      }));
    });
  }

  private join(session: Session, channel: ServedChannel, attempted: Attempt): MaybePromise<void> {
    const { hub, planner, presence, catchUp } = this.deps;
    const { command, call, access } = attempted;
    // A state is made for a client, and may change something.
    const wantsSnapshot = command.payload.snapshot !== false && !session.oversees;
    const takesCounts = session.features.includes(PRESENCE_COUNT);
    const subscription = new Subscription(session.outbox, channel, call, wantsSnapshot, takesCounts);
    return attempt(
      () =>
        whenReady(this.begin(session, attempted), () =>
          whenReady(planner.plan(subscription, command.payload.position, access.replay), (found) => {
            // Nobody is shown a member that has lost access.
            this.requireAllowed(session, channel, attempted);
            return whenReady(this.enterPresence(session, subscription, command, access.roster), (page) =>
              this.answer(session, subscription, attempted, found, page),
            );
          }),
        ),
      () => {
        catchUp.pump(subscription);
        this.afterCommit(session, subscription, attempted.bytes);
      },
      (error) => {
        subscription.end();
        // The client of a lost connection may reconnect, as after a subscribe that was answered.
        const { closedWith } = session;
        const graceMs = closedWith === undefined ? 0 : graceAfter(closedWith, channel.definition.policy);
        presence.leave(subscription, graceMs);
        hub.release(channel);
        throw error;
      },
    );
  }

  /** What costs much begins: in a turn of its own where the channel was waited for, and only while the client can have it. */
  private begin(session: Session, { pending, hasWaited }: Attempt): MaybePromise<void> {
    if (!hasWaited) return undefined;
    const turn = continueInTurn(this.deps, session, 'subscribe', true);
    return whenReady<boolean, void>(turn, () => refuseIfOver(session, pending));
  }

  /** Called after each wait: what was allowed when the subscribe began is allowed still. */
  private requireAllowed(session: Session, channel: ServedChannel, attempted: Attempt): void {
    const { access, recent } = this.deps;
    refuseIfOver(session, attempted.pending);
    access.requireFresh(channel.definition);
    access.requireUnrevoked(session, channel.name, attempted.revision);
    if (channel.isGuarded && recent.concerns(attempted.asked, session.userId, channel.name))
      throw new RealtimeError('unavailable', ASKED_AGAIN);
  }

  /** Between the checks and the answer nothing is awaited: what was checked is still true when the answer is sent. */
  private answer(
    session: Session,
    subscription: Subscription,
    attempted: Attempt,
    found: PlanWithSnapshot,
    presence: PresencePage | undefined,
    reads = PAGE_ATTEMPTS,
  ): MaybePromise<void> {
    const { channel } = subscription;
    // A change that was sent while the page was read is not in it, and this subscriber did not get it.
    if (reads > 0 && channel.presence?.hasMissed(subscription, presence) === true) {
      const again = this.deps.presence.page(channel.name);
      return again.then((page) => this.answer(session, subscription, attempted, found, page, reads - 1));
    }
    const { command, pending } = attempted;
    const { plan, snapshot } = found;
    this.requireAllowed(session, channel, attempted);
    this.deps.planner.requireUnerased(channel.name, found);
    const members = presence && channel.presence?.answer(subscription, presence);
    const handler =
      snapshot === undefined ? undefined : `the snapshot handler of ${channel.definition.source}`;
    const result = toResult(plan, snapshot, members);
    const holds = snapshot === undefined ? undefined : 'start';
    const bytes = session.replyRead(command.id, result, subscription, handler, holds);
    if (snapshot !== undefined || members !== undefined) session.chargeAnswer(bytes);
    // Sending the answer can end a session that is too slow for it.
    refuseIfOver(session, pending);
    subscription.begin({ ...plan, resumedAt: resumedAt(plan) });
    subscription.countRetained(attempted.bytes.all);
    session.channels.add(subscription);
    channel.add(subscription);
    const first = this.deps.tracer?.awaitingFirst(channel.definition.pattern);
    if (first !== undefined) channel.awaitFirst(subscription, first);
    const { recovery, reason, cause } = plan;
    this.deps.observer.onSubscribe?.(channel.definition.pattern, recovery, reason ?? cause);
    this.deps.reauthorization.schedule(session, subscription, attempted.access.grant);
    if (presence !== undefined) channel.presence?.follow(subscription, presence);
  }

  private enterPresence(
    session: Session,
    subscription: Subscription,
    { payload }: SubscribeCommand,
    roster: boolean,
  ): MaybePromise<PresencePage | undefined> {
    const { presence: tracker, access } = this.deps;
    const { name: channel, definition } = subscription;
    if (payload.presence === false || definition.policy.presence === false) return undefined;
    const { userId, lineage: device, generation } = session;
    // Of an anonymous client each session is a member (G19).
    const member = userId ?? device;
    // Who is muted reads like any other, and shows nothing of its own.
    const data = access.isMuted(session, channel) ? undefined : shownBy(payload);
    const entry = { channel, member, device, generation, data };
    const entered = tracker.enter(subscription, entry);
    return entered.then(() => (roster ? tracker.page(channel) : undefined));
  }

  private afterCommit(session: Session, subscription: Subscription, bytes: SubscriptionBytes): void {
    if (subscription.ended) return;
    const { onSubscribe } = subscription.definition.behaviour;
    // Inherited from an older generation: for the application nothing began (P28).
    const inherited = session.channels.claim(subscription.name) !== undefined;
    if (!session.oversees) subscription.beginHooks();
    if (!inherited && !session.oversees && onSubscribe !== undefined)
      this.deps.hooks.runHook(onSubscribe, subscription.call);
    if (!subscription.releaseCommand()) return;
    subscription.countRetained(-bytes.params);
    session.retain(-bytes.params);
  }
}

function receivesPresence(presence: SubscribeCommand['payload']['presence']): boolean {
  return presence !== false && presence?.receive !== false;
}

/** What the subscriber shows to the other members. */
function shownBy({ presence }: SubscribeCommand['payload']): unknown {
  return presence === false ? undefined : toWireValue(presence?.data, 'data');
}

function refuseIfOver(session: Session, pending: PendingSubscription): void {
  if (session.isClosed || pending.cancelled) {
    throw new RealtimeError('not_subscribed', 'The subscribe was cancelled before it was answered');
  }
}

/** The body of a subscribe answer and of `reset` (P11). */
export function toResult(plan: RecoveryPlan, snapshot: unknown, presence?: PresencePage): SubscribeResult {
  const { recovery, position, reason, from, to, cause } = plan;
  return { position, recovery, reason, from, to, cause, snapshot, presence };
}
