import { randomBytes } from 'node:crypto';

/**
 * Signs the demo's tokens. Without JWT_SECRET a new one is made at each start: pages that are open then fetch a new token by
 * themselves and stay.
 */
export const JWT_SECRET = process.env.JWT_SECRET ?? randomBytes(32).toString('hex');

/** Short, as tokens of a realtime connection should be: the client fetches the next one ahead of time, without reconnecting. */
export const TOKEN_LIFETIME = '10m';
