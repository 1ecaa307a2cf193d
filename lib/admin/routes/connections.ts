import { MAX_SESSIONS_PAGE } from '../../core/engine/cluster/cluster-sessions.js';
import { MAX_ID_LENGTH } from '../../protocol/envelope.js';
import { route, type AdminRoute } from '../route.js';
import { address, channelName, described, list, object, oneOf, text, userId } from '../schema.js';
import { connection, count, missing, more, page, receipt, session, why, whyOf } from './answers.js';

const filter = {
  user: described(userId, 'of this user'),
  channel: described(channelName, 'that are subscribed to this channel'),
  address: described(address, 'of this address; of IPv6, of everybody with the same first 64 bits'),
};

export const CONNECTION_ROUTES: readonly AdminRoute[] = [
  route({
    id: 'listConnections',
    method: 'GET',
    path: 'connections',
    authority: 'read',
    summary: 'Lists the connections of all nodes, or those that have all that is given',
    input: object({}, { ...filter, ...page(MAX_SESSIONS_PAGE) }),
    answer: object({ sessions: list(session, MAX_SESSIONS_PAGE), missing }, { more }),
    example: { channel: 'rooms.42', limit: 50 },
    run: ({ realtime }, { cursor, limit, ...of }) => realtime.sessions.list(of, { cursor, limit }),
  }),
  route({
    id: 'countConnections',
    method: 'GET',
    path: 'connections/count',
    authority: 'read',
    summary: 'Counts the connections of all nodes, or those that have all that is given',
    input: object({}, filter),
    answer: object({ count, missing }, {}),
    example: { user: 'u7' },
    run: ({ realtime }, of) => realtime.sessions.count(of),
  }),
  route({
    id: 'getConnection',
    method: 'GET',
    path: 'connections/one',
    authority: 'read',
    summary: 'One connection, with its channels and what waits for it',
    input: object({ session: described(text(MAX_ID_LENGTH), '`id` of the connection') }, {}),
    answer: object({ missing }, { session: connection }),
    example: { session: 'Zr2mCq0Xq7' },
    run: ({ engine }, { session: id }) => engine.sessionDetails.find(id),
  }),
  route({
    id: 'disconnect',
    method: 'POST',
    path: 'connections/disconnect',
    authority: 'moderate',
    summary: 'Closes one connection, or those of a user; nothing keeps the client out if it comes back',
    input: oneOf(
      object({}, { session: described(text(MAX_ID_LENGTH), '`id` of the connection'), user: userId, ...why }),
      ['session', 'user'],
    ),
    answer: receipt,
    example: { user: 'u7', reason: 'logged out' },
    run: ({ realtime, by }, { session: id, user, reason }) =>
      id === undefined
        ? realtime.user(user as string).disconnect(whyOf(by(), reason))
        : realtime.sessions.disconnect({ id }, whyOf(by(), reason)),
  }),
  route({
    id: 'disconnectAll',
    method: 'POST',
    path: 'connections/disconnect-all',
    authority: 'administer',
    summary: 'Closes the connections of everybody in a channel, or at an address',
    input: oneOf(object({}, { channel: channelName, address, ...why }), ['channel', 'address']),
    answer: receipt,
    example: { channel: 'rooms.42', reason: 'room closed' },
    run: ({ realtime, by }, { channel, address: at, reason }) =>
      realtime.sessions.disconnect(
        channel === undefined ? { address: at as string } : { channel },
        whyOf(by(), reason),
      ),
  }),
];
