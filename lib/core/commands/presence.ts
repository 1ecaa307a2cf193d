import type { PresenceCommand, PresenceUpdateCommand } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { toWireValue } from '../../protocol/wire-value.js';
import { MAX_PAGE } from '../../protocol/validation/command-schemas.js';
import type { PresenceTracker } from '../hub/presence-tracker.js';
import type { BrokerPresence } from '../ports/broker.js';
import type { Session } from '../session/session.js';
import { requireSubscription, type Authorizer } from './authorization.js';
import { handlerCall } from './handler-call.js';

const DEFAULT_LIMIT = 100;

/** Lists the members of a channel, and replaces what the client shows of itself to them (G19). */
export class Presence {
  constructor(
    private readonly authorizer: Authorizer,
    private readonly members: Pick<BrokerPresence, 'members'>,
    private readonly tracker: PresenceTracker,
  ) {}

  async list(session: Session, command: PresenceCommand): Promise<void> {
    const match = this.authorizer.resolve(session, command.channel);
    const call = handlerCall(session, match, command);
    const requireStillAllowed = await this.authorizer.authorizeSubscriber(session, match, 'presence', call);
    if (match.definition.policy.presence === false)
      throw new RealtimeError(
        'bad_request',
        'This channel keeps no presence: its policy has presence: false',
      );
    const { cursor, limit } = command.payload;
    const page = await this.members.members(match.channel, {
      limit: Math.min(limit ?? DEFAULT_LIMIT, MAX_PAGE),
      cursor,
    });
    requireStillAllowed();
    if (session.isClosed) return;
    const subscription = session.channels.get(match.channel);
    const feed = subscription?.presenceVersion === undefined ? undefined : subscription.channel.presence;
    if (subscription === undefined || feed === undefined)
      return session.chargeAnswer(session.reply(command.id, page, subscription));
    session.chargeAnswer(session.reply(command.id, feed.answer(subscription, page), subscription));
    // From now on the client has the version of the first page; changes up to it would be repeats.
    if (cursor === undefined) feed.follow(subscription, page);
  }

  async update(session: Session, command: PresenceUpdateCommand): Promise<void> {
    const match = this.authorizer.resolve(session, command.channel);
    const subscription = await requireSubscription(session, match.channel);
    const entry = subscription.presence;
    if (entry === undefined)
      throw new RealtimeError(
        'bad_request',
        'This subscription is not a member of the channel: subscribe with presence first',
      );
    await this.tracker.update(subscription, { ...entry, data: toWireValue(command.payload.data, 'data') });
    if (!session.isClosed) session.reply(command.id, {});
  }
}
