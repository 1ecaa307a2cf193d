import type { Handshake } from '../../core/ports/connection.js';
import { answeringAtOnce } from './predicate.js';

/**
 * Which pages may connect. A string is one exact origin (`https://app.example.com`, with the port where it is
 * not the default one) or `same-origin`; a RegExp must match the *whole* origin in lower case; a function is given
 * the header unchanged, `null` included.
 */
export type OriginRule = string | RegExp | ((origin: string, handshake: Handshake) => boolean);

/** Scheme of a connection; `undefined` when TLS may have ended at a proxy that is not trusted. */
export type Scheme = 'http' | 'https' | undefined;

/** Decides about the `Origin` header of one handshake. */
export type OriginCheck = (origin: string, handshake: Handshake, scheme: Scheme) => boolean;

/** The serialisation of RFC 6454 §6.2: scheme, host and port only. */
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@\\%]+$/i;
const MAX_LENGTH = 512;

/**
 * Compiles an allow-list. Comparison is of whole origins after normalising case and default ports, never of
 * parts: `https://example.com.evil.net` and `https://evil-example.com` are not `https://example.com` (G22).
 *
 * @throws TypeError naming an entry that could never match, or that would match everything; and for an `async` function.
 */
export function compileOrigins(rules: OriginRule | readonly OriginRule[]): OriginCheck {
  const checks = [rules].flat().map(compileRule);
  return (origin, handshake, scheme) => checks.some((check) => check(origin, handshake, scheme));
}

/**
 * Whether a page of this origin was served from the host that it connects to. The scheme is compared where it is
 * known; where TLS may have ended at a proxy, only host and port are.
 *
 * @example isSameOrigin('https://example.com', 'example.com:443', 'https') // true
 */
export function isSameOrigin(origin: string, host: string | undefined, scheme: Scheme): boolean {
  const page = canonicalOrigin(origin);
  if (page === undefined || host === undefined) return false;
  const pageScheme = page.slice(0, page.indexOf(':'));
  if (pageScheme !== 'http' && pageScheme !== 'https') return false;
  if (scheme !== undefined && scheme !== pageScheme) return false;
  return page === canonicalOrigin(`${pageScheme}://${host}`);
}

/** Lower case and without a default port; `undefined` for `null` and everything else that is not one origin. */
export function canonicalOrigin(origin: string): string | undefined {
  // URL.parse would be kinder, but Node 20 does not have it.
  if (origin.length > MAX_LENGTH || !ORIGIN.test(origin) || !URL.canParse(origin)) return undefined;
  const url = new URL(origin);
  return `${url.protocol}//${url.host.toLowerCase()}`;
}

function compileRule(rule: OriginRule): OriginCheck {
  if (typeof rule === 'function') {
    const allows = answeringAtOnce('allowedOrigins', rule);
    return (origin, handshake) => allows(origin, handshake);
  }
  if (rule instanceof RegExp) return matching(rule);
  if (rule === 'same-origin') {
    return (origin, handshake, scheme) => isSameOrigin(origin, handshake.headers.host, scheme);
  }
  const allowed = rule.includes('*') ? undefined : canonicalOrigin(rule);
  if (allowed === undefined) throw new TypeError(`allowedOrigins: "${rule}" ${remedyFor(rule)}`);
  return (origin) => canonicalOrigin(origin) === allowed;
}

function matching(rule: RegExp): OriginCheck {
  // Whole, so that a forgotten anchor lets no other origin in; without `g` and `y`, whose state makes every other test fail.
  const whole = new RegExp(`^(?:${rule.source})$`, rule.flags.replace(/[gy]/g, ''));
  return (origin) => {
    const canonical = canonicalOrigin(origin);
    return canonical !== undefined && whole.test(canonical);
  };
}

function remedyFor(rule: string): string {
  if (rule === 'null') {
    return 'is what every sandboxed frame of every site sends. To accept it nevertheless, use a function.';
  }
  if (rule.includes('*')) {
    return 'is a wildcard. Name the origins, or use a RegExp, e.g. /https:\\/\\/[a-z0-9-]+\\.example\\.com/.';
  }
  return 'is not an origin. Write scheme, host and port only, e.g. "https://app.example.com".';
}
