import { systemClock, type Clock } from '../../core/ports/clock.js';
import type { Codec } from '../../protocol/codecs/codec.js';
import { jsonCodec } from '../../protocol/codecs/json.js';
import { msgpackCodec } from '../../protocol/codecs/msgpack.js';
import { compileTrust, type ProxyTrust, type TrustProxy } from '../http/client-address.js';
import type { HandshakeRules } from '../http/handshake-policy.js';
import { compileHosts } from '../http/host.js';
import { compileOrigins, type OriginRule } from '../http/origin.js';

/**
 * permessage-deflate (RFC 7692). Outbound, a frame is compressed once for all subscribers of a variant, on the
 * event loop: worth it for large events with many subscribers, a cost for answers to one client. Secrets beside
 * text that a client chooses do not belong into compressed frames (CRIME, BREACH).
 */
export interface CompressionOptions {
  /** Frames with a smaller payload, in bytes, are sent as they are. Default 1024. */
  readonly threshold?: number;
  /** zlib level, 1 (fast) to 9 (small). Default 3. */
  readonly level?: number;
  /** Client frames of the whole process that are inflated at the same time. Default 10. */
  readonly concurrency?: number;
}

/** How clients reach the server over WebSocket. */
export interface WebSocketTransportOptions {
  /** Path of the endpoint, matched exactly, with or without one trailing slash. Default `/realtime`. */
  readonly path?: string;
  /**
   * Codecs of the server; the first is used for clients that offer no subprotocol (P1). Default JSON, then
   * MessagePack.
   */
  readonly codecs?: readonly Codec[];
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
   * @example { name: '__Host-session' }
   */
  readonly cookie?: { readonly name: string };
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
  /** permessage-deflate. Default `false` (G24). */
  readonly compression?: false | CompressionOptions;
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
export const WEBSOCKET_DEFAULTS = {
  path: '/realtime',
  codecs: [jsonCodec, msgpackCodec],
  trustProxy: false,
  requireTls: false,
  compression: { threshold: 1_024, level: 3, concurrency: 10 },
  handshakeTimeoutMs: 10_000,
  closeTimeoutMs: 5_000,
} satisfies WebSocketTransportOptions;

/** The options, checked, with defaults and compiled rules. */
export interface WebSocketSettings extends HandshakeRules {
  readonly path: string;
  readonly trustProxy: ProxyTrust;
  readonly compression: Required<CompressionOptions> | undefined;
  readonly handshakeTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
  readonly onWarning: (message: string) => void;
}

/** @throws TypeError or RangeError naming the option and the remedy. */
export function resolveWebSocketOptions(options: WebSocketTransportOptions): WebSocketSettings {
  const d = WEBSOCKET_DEFAULTS;
  const { path = d.path, trustProxy = d.trustProxy, compression = false } = options;
  if (!/^\/[^?#\s]*$/.test(path)) {
    throw new TypeError(
      `path: "${path}" is not a path. It begins with "/" and has no query, e.g. "/realtime".`,
    );
  }
  if (typeof trustProxy === 'number' && trustProxy !== 0) positive('trustProxy', trustProxy);
  return {
    path,
    codecs: checkCodecs(options.codecs ?? d.codecs),
    allowsOrigin: options.allowedOrigins === undefined ? undefined : compileOrigins(options.allowedOrigins),
    judgeHost: options.allowedHosts === undefined ? undefined : compileHosts(options.allowedHosts),
    cookieName: options.cookie === undefined ? undefined : named('cookie.name', options.cookie.name),
    trustProxy: compileTrust(trustProxy),
    queryToken: options.queryToken === undefined ? undefined : named('queryToken', options.queryToken),
    requireTls: options.requireTls ?? d.requireTls,
    compression: compression === false ? undefined : checkCompression(compression),
    handshakeTimeoutMs: positive('handshakeTimeoutMs', options.handshakeTimeoutMs ?? d.handshakeTimeoutMs),
    closeTimeoutMs: positive('closeTimeoutMs', options.closeTimeoutMs ?? d.closeTimeoutMs),
    clock: options.clock ?? systemClock,
    onError: quietly(options.onError),
    onWarning: quietly(options.onWarning),
  };
}

/**
 * The options of compression, with defaults.
 *
 * @throws RangeError naming the option.
 */
export function checkCompression(options: CompressionOptions): Required<CompressionOptions> {
  const d = WEBSOCKET_DEFAULTS.compression;
  const { threshold = d.threshold, level = d.level, concurrency = d.concurrency } = options;
  const settings = { threshold, level, concurrency };
  const check = (name: keyof CompressionOptions, min: number, max: number): void => {
    const value = settings[name];
    if (Number.isInteger(value) && value >= min && value <= max) return;
    throw new RangeError(`compression.${name}: ${value} is not an integer from ${min} to ${max}`);
  };
  check('threshold', 0, 2 ** 31 - 1);
  check('level', 1, 9);
  check('concurrency', 1, 1_024);
  return settings;
}

function checkCodecs(codecs: readonly Codec[]): readonly [Codec, ...Codec[]] {
  const [first, ...others] = codecs;
  if (first === undefined)
    throw new TypeError('codecs: the list is empty. Give at least one codec, e.g. [jsonCodec].');
  if (new Set(codecs.map((codec) => codec.subprotocol)).size < codecs.length) {
    throw new TypeError(
      'codecs: two codecs have the same subprotocol, so a client could not choose. Leave one of them out.',
    );
  }
  return [first, ...others];
}

function positive(name: string, value: number): number {
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
