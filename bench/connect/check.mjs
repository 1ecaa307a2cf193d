import { createHmac } from 'node:crypto';
import { JwtAuthenticator } from '../../dist/nest/auth/jwt-authenticator.js';

/** At least 32 bytes, as RFC 7518 §3.2 advises for HS256. */
export const SECRET = 'the-secret-of-the-benchmarks-0123456789';
export const CHANNEL = 'bench.lobby';

const authenticator = await JwtAuthenticator.create({ secret: SECRET, algorithms: ['HS256'] });

/** The check that every server runs: the library's own, so that a difference is never one of the check. */
export async function verify(token) {
  const { user } = await authenticator.authenticate({ token, via: 'subprotocol' });
  return user;
}

/** The token in `bearer.<jwt>` of `Sec-WebSocket-Protocol`. */
export function tokenOf(request) {
  const offered = request.headers['sec-websocket-protocol']?.split(/, ?/) ?? [];
  return offered.find((entry) => entry.startsWith('bearer.'))?.slice('bearer.'.length);
}

/** A token of an hour, signed without a library: the load generator makes thousands of them. */
export function sign(sub) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1_000);
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub, iat: now, exp: now + 3_600 })}`;
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}
