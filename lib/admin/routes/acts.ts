import type { RestrictionsFilter, Whom } from '../../nest/moderation-handle.js';
import { route, type AdminRoute } from '../route.js';
import {
  address,
  channelName,
  channelSet,
  choice,
  described,
  duration,
  list,
  object,
  oneOf,
  text,
  userId,
  whole,
} from '../schema.js';
import { liftReceipt, more, names, page, receipt, restriction, why, whyOf } from './answers.js';

/** Most events of one erasure. */
const MAX_ERASED = 10_000;
/** Most restrictions of a page. */
const MAX_RESTRICTIONS = 1_000;

const session = described(
  text(128),
  'the `lineage` of a connection: one session through all its connections',
);
const whom = { user: userId, session, address };
const WHOM = Object.keys(whom);
const where = { channel: described(channelSet, 'a channel or pattern; everywhere where it is left out') };
const lasting = { for: described(duration, 'how long; without end where it is left out') };

export const ACT_ROUTES: readonly AdminRoute[] = [
  route({
    id: 'kick',
    method: 'POST',
    path: 'kick',
    authority: 'moderate',
    summary: 'Takes a user out of a channel, for a time',
    input: object(
      { user: userId, channel: channelSet },
      {
        for: described(duration, 'how long; an authorized user may come back at once where it is left out'),
        ...why,
      },
    ),
    answer: receipt,
    example: { user: 'u7', channel: 'rooms.42', for: '5m', reason: 'spam' },
    run: ({ realtime, by }, { user, channel, ...options }) =>
      realtime.moderation.kick(user, channel, { ...options, by: by() }),
  }),
  route({
    id: 'ban',
    method: 'POST',
    path: 'ban',
    authority: 'moderate',
    summary: 'Keeps a user, a session or an address out, of a channel or everywhere',
    input: oneOf(object({}, { ...whom, ...where, ...lasting, ...why }), WHOM),
    answer: receipt,
    example: { user: 'u7', for: '1h', reason: 'spam' },
    run: ({ realtime, by }, { user, session: of, address: at, ...options }) =>
      realtime.moderation.ban(whomOf(user, of, at), { ...options, by: by() }),
  }),
  route({
    id: 'unban',
    method: 'POST',
    path: 'unban',
    authority: 'moderate',
    summary: 'Ends a ban of the same channel or pattern',
    input: oneOf(object({}, { ...whom, ...where, ...why }), WHOM),
    answer: liftReceipt,
    example: { user: 'u7' },
    run: ({ realtime, by }, { user, session: of, address: at, ...options }) =>
      realtime.moderation.lift('ban', whomOf(user, of, at), { ...options, by: by() }),
  }),
  route({
    id: 'mute',
    method: 'POST',
    path: 'mute',
    authority: 'moderate',
    summary: 'Lets a user, a session or an address read only, in a channel or everywhere',
    input: oneOf(object({}, { ...whom, ...where, ...lasting, ...why }), WHOM),
    answer: receipt,
    example: { user: 'u7', channel: 'rooms.42', for: '10m', reason: 'flood' },
    run: ({ realtime, by }, { user, session: of, address: at, ...options }) =>
      realtime.moderation.mute(whomOf(user, of, at), { ...options, by: by() }),
  }),
  route({
    id: 'unmute',
    method: 'POST',
    path: 'unmute',
    authority: 'moderate',
    summary: 'Ends a mute of the same channel or pattern',
    input: oneOf(object({}, { ...whom, ...where, ...why }), WHOM),
    answer: liftReceipt,
    example: { user: 'u7', channel: 'rooms.42' },
    run: ({ realtime, by }, { user, session: of, address: at, ...options }) =>
      realtime.moderation.lift('mute', whomOf(user, of, at), { ...options, by: by() }),
  }),
  route({
    id: 'slow',
    method: 'POST',
    path: 'slow',
    authority: 'moderate',
    summary: 'Slow mode of a channel: each user may publish once in `every`',
    input: object(
      { channel: channelSet, every: described(duration, 'at most a day', '30s') },
      { ...lasting, ...why },
    ),
    answer: receipt,
    example: { channel: 'rooms.42', every: '30s', for: '1h' },
    run: ({ realtime, by }, { channel, ...options }) =>
      realtime.moderation.slow(channel, { ...options, by: by() }),
  }),
  route({
    id: 'endSlow',
    method: 'POST',
    path: 'slow/end',
    authority: 'moderate',
    summary: 'Ends slow mode of a channel or pattern',
    input: object({ channel: channelSet }, why),
    answer: liftReceipt,
    example: { channel: 'rooms.42' },
    run: ({ realtime, by }, { channel, ...options }) =>
      realtime.moderation.endSlow(channel, { ...options, by: by() }),
  }),
  route({
    id: 'listRestrictions',
    method: 'GET',
    path: 'restrictions',
    authority: 'read',
    summary: 'Lists the bans, mutes and slow modes that are in force, on all nodes',
    input: object({}, { act: choice(['ban', 'mute', 'slow']), ...whom, ...where, ...page(MAX_RESTRICTIONS) }),
    answer: object({ restrictions: list(restriction, MAX_RESTRICTIONS) }, { more }),
    example: { act: 'ban', limit: 50 },
    // Not in the argument: what it throws is to reject.
    run: async ({ realtime }, { cursor, limit, ...filter }) =>
      Promise.resolve(realtime.moderation.restrictions(filter as RestrictionsFilter, { cursor, limit })),
  }),
  route({
    id: 'revoke',
    method: 'POST',
    path: 'revoke',
    authority: 'moderate',
    summary: 'Ends subscriptions of a user: of a channel, of those that a pattern matches, or of all',
    input: object({ user: userId }, { channel: channelSet, ...why }),
    answer: receipt,
    example: { user: 'u7', channel: 'rooms.42', reason: 'left the team' },
    run: ({ realtime, by }, { user, channel, reason }) =>
      realtime.user(user).revoke(channel, whyOf(by(), reason)),
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
    run: ({ realtime, by }, input) => realtime.reauthorize({ ...input, by: by() }),
  }),
  route({
    id: 'erase',
    method: 'POST',
    path: 'erase',
    authority: 'moderate',
    summary: 'Erases events of a channel on all nodes: by their `seq`, or all that the log has of a user',
    input: oneOf(
      object({ channel: channelName }, { seqs: list(whole(1), MAX_ERASED, 1), user: userId, ...why }),
      ['seqs', 'user'],
    ),
    answer: object(
      {
        confirmed: names,
        missing: names,
        erased: described(list(whole(1), 1_000_000), 'their `seq`, ascending'),
      },
      {},
    ),
    example: { channel: 'rooms.42', seqs: [1], reason: 'address of a person' },
    run: ({ realtime, by }, { channel, seqs, user, reason }) =>
      realtime.moderation.erase(
        channel,
        seqs === undefined ? { user: user as string } : { seqs },
        whyOf(by(), reason),
      ),
  }),
];

/** The schema has made sure that there is one. */
function whomOf(user?: string, session?: string, at?: string): Whom {
  if (user !== undefined) return { user };
  return session === undefined ? { address: at as string } : { session };
}
