import type { PresenceCommand, PresenceUpdateCommand } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { toWireValue } from '../../protocol/wire-value.js';
import type { AccessGuard } from '../access/access-guard.js';
import { readMembers } from '../hub/member-pages.js';
import type { PresenceTracker } from '../hub/presence-tracker.js';
import { isPromise } from '../ports/maybe-promise.js';
import type { EnginePorts } from '../ports/settings.js';
import { weightOf } from '../ports/value-weight.js';
import { requireRoom } from '../session/answers.js';
import type { Session } from '../session/session.js';
import { askAgain } from './ask-again.js';
import type { Authorizer } from './authorization.js';
import { continueInTurn, type TurnDeps } from './continue-in-turn.js';
import { handlerCall } from './handler-call.js';
import { requireSize } from './size-limits.js';

/** Lists the members of a channel, and replaces what the client shows of itself to them (G19). */
export class Presence {
  constructor(
    private readonly authorizer: Authorizer,
    private readonly access: Pick<AccessGuard, 'requireAdmitted' | 'requireVoice'>,
    private readonly ports: Pick<EnginePorts, 'members'> & TurnDeps,
    private readonly tracker: PresenceTracker,
  ) {}

  async list(session: Session, command: PresenceCommand): Promise<void> {
    try {
      const match = this.authorizer.resolve(session, command.channel);
      const call = handlerCall(session, match, command);
      const authorized = this.authorizer.authorizeSubscriber(session, match, 'presence', call);
      const requireStillAllowed = await authorized;
      if (match.definition.policy.presence === false)
        throw new RealtimeError(
          'bad_request',
          'This channel keeps no presence: its policy has presence: false',
        );
      const { members, settings } = this.ports;
      const { cursor } = command.payload;
      if (!(await continueInTurn(this.ports, session, 'presence', isPromise(authorized)))) return;
      const page = await readMembers(members, match.channel, command.payload, settings.limits.maxPageBytes);
      requireStillAllowed();
      requireRoom(session.outbox);
      if (session.isClosed) return;
      const subscription = session.channels.get(match.channel);
      const feed = subscription?.presenceVersion === undefined ? undefined : subscription.channel.presence;
      if (subscription === undefined || feed === undefined) {
        const flow = subscription ?? this.authorizer.answerFlow(match);
        return session.chargeAnswer(session.replyRead(command.id, page, flow));
      }
      session.chargeAnswer(session.replyRead(command.id, feed.answer(subscription, page), subscription));
      // From now on the client has the version of the first page; changes up to it would be repeats.
      if (cursor === undefined) feed.follow(subscription, page);
    } catch (error) {
      throw askAgain(session, error);
    }
  }

  async update(session: Session, command: PresenceUpdateCommand): Promise<void> {
    const match = this.authorizer.resolve(session, command.channel);
    this.access.requireVoice(session, match.channel);
    const subscription = await this.authorizer.subscriptionOf(session, match);
    this.access.requireAdmitted(session, match.channel);
    this.access.requireVoice(session, match.channel);
    // It may have been taken away since.
    if (subscription.ended) throw new RealtimeError('not_subscribed');
    const entry = subscription.presence;
    if (entry === undefined)
      throw new RealtimeError(
        'bad_request',
        'This subscription is not a member of the channel: subscribe with presence first',
      );
    const data = toWireValue(command.payload.data, 'data');
    const { maxPresenceBytes } = this.ports.settings.limits;
    const bytes = requireSize(data, 'payload.data', 'maxPresenceBytes', maxPresenceBytes);
    const change = bytes - weightOf(entry.data);
    session.retain(change);
    subscription.countRetained(change);
    // Each member is sent the change.
    session.chargeDeliveries(subscription.channel.subscriptions.size);
    await this.tracker.update(subscription, { ...entry, data });
    if (!session.isClosed) session.reply(command.id, {});
  }
}
