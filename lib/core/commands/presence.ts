import type { PresenceCommand, PresenceUpdateCommand } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { MAX_PAGE } from '../../protocol/validation/command-schemas.js';
import type { PresenceTracker } from '../hub/presence-tracker.js';
import type { BrokerPresence } from '../ports/broker.js';
import type { Session } from '../session/session.js';
import { requireSubscription, type Authorizer } from './authorization.js';

const DEFAULT_LIMIT = 100;

export interface PresenceDeps {
  readonly authorizer: Authorizer;
  readonly members: Pick<BrokerPresence, 'members'>;
  readonly presence: PresenceTracker;
}

/** Lists the members of a channel, and replaces the data of one's own membership (G19). */
export class Presence {
  constructor(private readonly deps: PresenceDeps) {}

  async list(session: Session, command: PresenceCommand): Promise<void> {
    const { authorizer, members } = this.deps;
    const match = authorizer.resolve(command.channel);
    const call = session.call(match, command.id, '', command.payload);
    const requireStillAllowed = await authorizer.authorizeSubscriber(session, match, 'presence', call);
    if (match.definition.policy.presence === false)
      throw new RealtimeError('bad_request', 'This channel keeps no presence');
    const { cursor, limit } = command.payload;
    const page = await members.members(match.channel, {
      limit: Math.min(limit ?? DEFAULT_LIMIT, MAX_PAGE),
      ...(cursor === undefined ? {} : { cursor }),
    });
    requireStillAllowed();
    if (session.isClosed) return;
    const subscription = session.channels.get(match.channel);
    const feed = subscription?.presenceVersion === undefined ? undefined : subscription.channel.presence;
    if (subscription === undefined || feed === undefined)
      return session.reply(command.id, page, subscription);
    session.reply(command.id, feed.answer(subscription, page), subscription);
    // The client has the first page's version from now on; diffs up to it would only repeat.
    if (cursor === undefined) feed.follow(subscription, page);
  }

  async update(session: Session, command: PresenceUpdateCommand): Promise<void> {
    const match = this.deps.authorizer.resolve(command.channel);
    const subscription = await requireSubscription(session, match.channel);
    const entry = subscription.presence;
    if (entry === undefined)
      throw new RealtimeError('bad_request', 'This subscription is no member of the channel');
    await this.deps.presence.update(subscription, { ...entry, data: command.payload.data });
    if (!session.isClosed) session.reply(command.id, {});
  }
}
