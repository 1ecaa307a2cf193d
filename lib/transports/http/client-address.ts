import type { IncomingHttpHeaders } from 'node:http';
import { canonicalAddress, compileNetworks, UNKNOWN_ADDRESS } from '../../core/ports/ip-address.js';
import type { Scheme } from './origin.js';
import { answeringAtOnce } from './predicate.js';

/**
 * Which proxies are trusted: none; the given number in front of this process; those of a list of addresses and networks, such as
 * `['10.0.0.0/8', 'fd00::/8']`; or those whose address the predicate accepts. A header from any other address may be an attacker's.
 */
export type TrustProxy = false | number | readonly string[] | ((address: string) => boolean);

/** The same, where networks are compiled. */
export type ProxyTrust = Exclude<TrustProxy, readonly string[]>;

/** @throws TypeError naming what is neither an address nor a network, and for an `async` predicate. */
export function compileTrust(trust: TrustProxy): ProxyTrust {
  if (trust === 0) return false;
  if (typeof trust === 'function') return answeringAtOnce('trustProxy', trust);
  if (typeof trust !== 'object') return trust;
  try {
    return compileNetworks(trust);
  } catch (error) {
    throw new TypeError(`trustProxy: ${(error as Error).message}`, { cause: error });
  }
}

/** The part of a socket that identifies its other end. */
export interface Peer {
  readonly remoteAddress?: string | undefined;
  /** Set by TLS sockets. */
  readonly encrypted?: boolean;
}

/** Where a connection comes from. */
export interface ClientAddress {
  /** In its {@link canonicalAddress one spelling}, without port and brackets; `unknown` for a Unix socket. */
  readonly ip: string;
  /** Scheme that the client used; `undefined` when TLS may have ended at a proxy that is not trusted. */
  readonly scheme: Scheme;
}

/**
 * Address and scheme of the client. `X-Forwarded-For` is read from the right while the proxies are
 * trusted, and the first address that is not a trusted proxy is the client: entries to the left of it prove nothing.
 *
 * @example clientAddress({ 'x-forwarded-for': '6.6.6.6, 9.9.9.9' }, { remoteAddress: '10.0.0.1' }, 1).ip // '9.9.9.9'
 */
export function clientAddress(headers: IncomingHttpHeaders, peer: Peer, trust: ProxyTrust): ClientAddress {
  let ip = plainAddress(peer.remoteAddress) ?? UNKNOWN_ADDRESS;
  const direct: Scheme = peer.encrypted === true ? 'https' : undefined;
  if (!isTrusted(trust, ip, 0)) return { ip, scheme: direct };

  const forwarded = listOf(headers['x-forwarded-for']);
  let hops = 0;
  while (hops < forwarded.length && isTrusted(trust, ip, hops)) {
    const address = plainAddress(forwarded[forwarded.length - 1 - hops]);
    // `unknown`, an obfuscated name or garbage: the proxy that wrote it is the last known address.
    if (address === undefined) break;
    ip = address;
    hops++;
  }
  return { ip, scheme: forwardedScheme(headers, Math.max(1, hops)) ?? direct };
}

/**
 * The scheme that the outermost trusted proxy reports of its client: its entry where proxies append, the only one where
 * they replace.
 */
function forwardedScheme(headers: IncomingHttpHeaders, hops: number): Scheme {
  const schemes = listOf(headers['x-forwarded-proto']);
  switch (schemes[Math.max(0, schemes.length - hops)]?.toLowerCase()) {
    case 'https':
    case 'wss':
      return 'https';
    case 'http':
    case 'ws':
      return 'http';
    default:
      return undefined;
  }
}

function isTrusted(trust: ProxyTrust, address: string, hops: number): boolean {
  if (trust === false) return false;
  return typeof trust === 'number' ? hops < trust : trust(address);
}

/** The header by which a proxy says for whom it asks; `undefined` where none does. */
export function forwardedBy(headers: IncomingHttpHeaders): string | undefined {
  return ['X-Forwarded-For', 'Forwarded', 'X-Real-IP'].find(
    (name) => headers[name.toLowerCase()] !== undefined,
  );
}

function listOf(header: string | string[] | undefined): string[] {
  if (header === undefined) return [];
  return (Array.isArray(header) ? header.join(',') : header).split(',').map((entry) => entry.trim());
}

/** Some proxies add the port: `1.2.3.4:5678`, `[2001:db8::1]:443`. */
function plainAddress(entry: string | undefined): string | undefined {
  if (entry === undefined) return undefined;
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(entry)?.[1] ?? /^([^:]+):\d+$/.exec(entry)?.[1] ?? entry;
  return canonicalAddress(bare);
}
