import { systemClock, type Clock } from '../../core/ports/clock.js';
import { compileTrust, type ProxyTrust, type TrustProxy } from './client-address.js';
import type { HandshakeRules } from './handshake-policy.js';
import { compileHosts } from './host.js';
import { compileOrigins, type OriginRule } from './origin.js';

/** What every transport over HTTP is told of the clients that it takes. */
export interface EntryOptions {
  /** Path of the endpoint, matched exactly, with or without one trailing slash. Default `/realtime`. */
  readonly path?: string;
  /**
   * Pages that may connect, for every upgrade that carries an `Origin` (G22): exact origins, `same-origin`, a
   * RegExp for the whole origin, or a function. Default: any page may, but cookies count only for pages of the
   * same origin; with any other page's connection the `Cookie` header is withheld from the application too.
   */
  readonly allowedOrigins?: OriginRule | readonly OriginRule[];
  /** Values of `Host` that are served, `name` or `name:port`: the defence against DNS rebinding. Default: any. */
  readonly allowedHosts?: readonly string[];
  /**
   * The cookie that carries a token, for clients that send none otherwise. It is accepted from allowed (or
   * same-origin) pages only, and never without an `Origin`. Default: cookies do not authenticate.
   *
   * With `csrf`, an upgrade of any other page, and one without `Origin`, may prove by the subprotocol `csrf.<token>` that it
   * may use the cookie (P2e); {@link allowedOrigins}, where it is set, still decides which pages may connect.
   *
   * @example { name: '__Host-session' }
   */
  readonly cookie?: { readonly name: string; readonly csrf?: { readonly secret: string } | undefined };
  /**
   * Proxies that are trusted about the client's address (`X-Forwarded-For`) and scheme (`X-Forwarded-Proto`): their number,
   * a list of their addresses and networks, or a predicate of the address. `false`: the address of the socket is the client's.
   * Default `false`, with a warning at the first request that a proxy seems to have sent.
   */
  readonly trustProxy?: TrustProxy;
  /**
   * Query parameter that carries a token. URLs end up in logs of proxies and servers, so this is off by default
   * (G23); what the application sees of the URL does not contain the token.
   */
  readonly queryToken?: string;
  /**
   * Refuses what did not come over TLS with 403: that of this server, or that of a proxy that {@link trustProxy} trusts and that
   * says `X-Forwarded-Proto: https`. Default `false`.
   */
  readonly requireTls?: boolean;
  /** Longest verification of credentials, in milliseconds; after it the answer is 503. Default 10 000. */
  readonly handshakeTimeoutMs?: number;
  /** How long a client may take to answer a close frame, in milliseconds; then the socket is destroyed. Default 5000. */
  readonly closeTimeoutMs?: number;
  /** Default: the system's. */
  readonly clock?: Clock;
  /**
   * Called for failures of the server: of the engine, of an authenticator, of a rule. Never for what clients do.
   * Default: nothing is called.
   */
  readonly onError?: (error: unknown) => void;
  /** Called with what an administrator should know. Default: nothing is called. */
  readonly onWarning?: (message: string) => void;
}

/** What holds where an option is left out. */
export const ENTRY_DEFAULTS = {
  path: '/realtime',
  trustProxy: false,
  requireTls: false,
  handshakeTimeoutMs: 10_000,
  closeTimeoutMs: 5_000,
} satisfies EntryOptions;

/** The options, checked, with defaults and compiled rules. */
export interface EntrySettings extends Omit<HandshakeRules, 'codecs'> {
  readonly path: string;
  readonly trustProxy: ProxyTrust;
  readonly handshakeTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
  readonly onWarning: (message: string) => void;
}

/** @throws TypeError or RangeError naming the option and the remedy. */
export function resolveEntryOptions(options: EntryOptions): EntrySettings {
  const d = ENTRY_DEFAULTS;
  const { path = d.path, trustProxy = d.trustProxy } = options;
  if (!/^\/[^?#\s]*$/.test(path)) {
    throw new TypeError(
      `path: "${path}" is not a path. It begins with "/" and has no query, e.g. "/realtime".`,
    );
  }
  if (typeof trustProxy === 'number' && trustProxy !== 0) positive('trustProxy', trustProxy);
  return {
    path,
    allowsOrigin: options.allowedOrigins === undefined ? undefined : compileOrigins(options.allowedOrigins),
    judgeHost: options.allowedHosts === undefined ? undefined : compileHosts(options.allowedHosts),
    cookieName: options.cookie === undefined ? undefined : named('cookie.name', options.cookie.name),
    csrfSecret: options.cookie?.csrf?.secret,
    trustProxy: compileTrust(trustProxy),
    queryToken: options.queryToken === undefined ? undefined : named('queryToken', options.queryToken),
    requireTls: options.requireTls ?? d.requireTls,
    handshakeTimeoutMs: positive('handshakeTimeoutMs', options.handshakeTimeoutMs ?? d.handshakeTimeoutMs),
    closeTimeoutMs: positive('closeTimeoutMs', options.closeTimeoutMs ?? d.closeTimeoutMs),
    clock: options.clock ?? systemClock,
    onError: quietly(options.onError),
    onWarning: quietly(options.onWarning),
  };
}

/** @throws RangeError naming the option. */
export function positive(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new RangeError(`${name}: ${value} is not a positive integer. Give a whole number of at least 1.`);
}

function named(name: string, value: string): string {
  // The characters of a token (RFC 9110 §5.6.2), which are those of a cookie's name.
  if (/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(value)) return value;
  throw new TypeError(`${name}: "${value}" is not a name. Use letters, digits and any of !#$%&'*+-.^_\`|~.`);
}

/** A log that fails has nowhere to tell that, and must not end the process. */
function quietly<T>(tell: ((what: T) => void) | undefined): (what: T) => void {
  return (what) => {
    try {
      tell?.(what);
    } catch {
      // Nobody is left to tell.
    }
  };
}
