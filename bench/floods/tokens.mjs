import { createHmac } from 'node:crypto';

/** At least 32 bytes, as RFC 7518 §3.2 advises for HS256. */
export const SECRET = 'the-secret-of-the-floods-0123456789abcdef';

/** A token of an hour, signed without a library. */
export function sign(sub, secret = SECRET) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1_000);
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub, iat: now, exp: now + 3_600 })}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}
