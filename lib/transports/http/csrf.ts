import { createHmac, timingSafeEqual } from 'node:crypto';
import { readCookie } from './cookies.js';

/** Keeps the proof apart from whatever else the secret signs. */
const PURPOSE = 'nestjs-realtime.csrf.v1\0';

/**
 * The token by which a page proves that it was given the cookie's session by this application, for `auth.cookie.csrf` (P2e). It belongs
 * to one value of the cookie: answer a request of the logged-in page with it, on a route that other origins cannot read.
 *
 * @param options the same secret as `auth.cookie.csrf.secret`, and the name of the cookie.
 * @param header the `Cookie` header of the page's request.
 * @returns `undefined` where the request has no such cookie.
 * @example
 * @Get('realtime-csrf')
 * token(@Headers('cookie') header?: string) {
 *   return { token: csrfToken({ secret: CSRF_SECRET, cookie: 'connect.sid' }, header) };
 * }
 */
export function csrfToken(
  options: { readonly secret: string; readonly cookie: string },
  header: string | undefined,
): string | undefined {
  const value = readCookie(header, options.cookie);
  return value === undefined ? undefined : tokenOf(options.secret, value).toString('base64url');
}

/** Whether a token is that of the cookie of a request. Compares in constant time. */
export function isCsrfToken(
  options: { readonly secret: string; readonly cookie: string },
  header: string | undefined,
  given: string,
): boolean {
  const expected = csrfToken(options, header);
  if (expected === undefined || given.length !== expected.length) return false;
  return timingSafeEqual(Buffer.from(given, 'latin1'), Buffer.from(expected, 'latin1'));
}

function tokenOf(secret: string, value: string): Buffer {
  return createHmac('sha256', secret).update(PURPOSE).update(value).digest();
}
