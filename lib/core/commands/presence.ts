import type { PresenceCommand, PresenceUpdateCommand } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { MAX_PAGE } from '../../protocol/validation/command-schemas.js';
import type { Session } from '../session/session.js';
import { authorizeSubscriber, requireSubscription } from './authorization.js';

const DEFAULT_LIMIT = 100;

/** Lists the members of a channel (G19). */
export async function presence(session: Session, command: PresenceCommand): Promise<void> {
  const { context } = session;
  const match = context.channels.resolve(command.channel);
  const call = session.call(match, command.id, '', command.payload);
  const checkAgain = await authorizeSubscriber(session, match, 'presence', call);
  if (match.definition.policy.presence === false)
    throw new RealtimeError('bad_request', 'This channel keeps no presence');
  const { cursor, limit } = command.payload;
  const page = await context.broker.presence.members(match.channel, {
    limit: Math.min(limit ?? DEFAULT_LIMIT, MAX_PAGE),
    ...(cursor === undefined ? {} : { cursor }),
  });
  checkAgain();
  if (session.isClosed) return;
  const subscription = session.subscriptions.get(match.channel);
  const feed = subscription?.presenceVersion === undefined ? undefined : subscription.channel.presence;
  if (subscription === undefined || feed === undefined) return session.reply(command.id, page, subscription);
  session.reply(command.id, feed.answer(subscription, page), subscription);
  // The client has the first page's version from now on; diffs up to it would only repeat.
  if (cursor === undefined) feed.follow(subscription, page);
}

/** Replaces the data of one's own membership. */
export async function presenceUpdate(session: Session, command: PresenceUpdateCommand): Promise<void> {
  const { context } = session;
  const match = context.channels.resolve(command.channel);
  const subscription = await requireSubscription(session, match.channel);
  const entry = subscription.presence;
  if (entry === undefined)
    throw new RealtimeError('bad_request', 'This subscription is no member of the channel');
  const updated = { ...entry, data: command.payload.data };
  subscription.presence = updated;
  await context.presence.update(updated);
  if (!session.isClosed) session.reply(command.id, {});
}
