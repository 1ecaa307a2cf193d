import { route, type AdminRoute } from '../route.js';
import { channelSet, described, duration, object, userId } from '../schema.js';
import { receipt, why } from './answers.js';

export const ACT_ROUTES: readonly AdminRoute[] = [
  route({
    id: 'revoke',
    method: 'POST',
    path: 'revoke',
    authority: 'moderate',
    summary: 'Ends subscriptions of a user: of a channel, of those that a pattern matches, or of all',
    input: object({ user: userId }, { channel: channelSet, ...why }),
    answer: receipt,
    example: { user: 'u7', channel: 'rooms.42', reason: 'left the team' },
    run: ({ realtime }, { user, channel, reason }) => realtime.user(user).revoke(channel, { reason }),
  }),
  route({
    id: 'reauthorize',
    method: 'POST',
    path: 'reauthorize',
    authority: 'administer',
    summary: 'Asks authorizations of live subscriptions again: of a user, of a channel or pattern, or all',
    input: object({}, { user: userId, channel: channelSet, ...why }),
    answer: receipt,
    example: { channel: 'rooms.:room', reason: 'roles changed' },
    run: ({ realtime }, input) => realtime.reauthorize(input),
  }),
  route({
    id: 'ban',
    method: 'POST',
    path: 'ban',
    authority: 'moderate',
    summary: 'Keeps a user out, and closes the connections',
    input: object(
      { user: userId },
      { for: described(duration, 'how long; without end where it is left out'), ...why },
    ),
    answer: receipt,
    example: { user: 'u7', for: '1h', reason: 'spam' },
    run: ({ realtime, by }, { user, ...options }) => realtime.user(user).ban({ ...options, by: by() }),
  }),
  route({
    id: 'unban',
    method: 'POST',
    path: 'unban',
    authority: 'moderate',
    summary: 'Ends the ban of a user',
    input: object({ user: userId }, {}),
    answer: receipt,
    example: { user: 'u7' },
    run: ({ realtime, by }, { user }) => realtime.user(user).unban({ by: by() }),
  }),
];
