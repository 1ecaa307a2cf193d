import { systemClock, type Clock } from '../../core/ports/clock.js';
import type { Codec } from '../../protocol/codecs/codec.js';
import { jsonCodec } from '../../protocol/codecs/json.js';
import { msgpackCodec } from '../../protocol/codecs/msgpack.js';
import type { TrustProxy } from '../http/client-address.js';
import { checkCompression, type CompressionOptions } from './compression.js';
import { compileHosts, type HostVerdict } from '../http/host.js';
import { compileOrigins, type OriginCheck, type OriginRule } from '../http/origin.js';

/** How clients reach the server over WebSocket. */
export interface WebSocketTransportOptions {
  /** Path of the endpoint, matched exactly, with or without one trailing slash. Default `/realtime`. */
  readonly path?: string;
  /**
   * What the server speaks; the first is for clients that offer no subprotocol (P1). Default JSON, then
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
   * Proxies that are believed about the client's address (`X-Forwarded-For`) and scheme (`X-Forwarded-Proto`):
   * their number, or a predicate of the address. Default `false`: what the socket says counts.
   */
  readonly trustProxy?: TrustProxy;
  /**
   * Query parameter that carries a token. URLs end up in logs of proxies and servers, so this is off by default
   * (G23); what the application sees of the URL does not contain the token.
   */
  readonly queryToken?: string;
  /** permessage-deflate. Default `false` (G24). */
  readonly compression?: false | CompressionOptions;
  /** Longest verification of credentials, in milliseconds; then 503. Default 10 000. */
  readonly handshakeTimeoutMs?: number;
  /** Upgrades whose credentials are being verified at the same time; further ones get 503. Default 10 000. */
  readonly maxPendingHandshakes?: number;
  /** How long a client may take to answer a close frame, in milliseconds; then the socket is cut. Default 5000. */
  readonly closeTimeoutMs?: number;
  /** Default: the system's. */
  readonly clock?: Clock;
  /**
   * Told of failures on the server's side: of the engine, of an authenticator, of a rule. Never of what
   * clients do. Default: nobody.
   */
  readonly onError?: (error: unknown) => void;
}

/** The options, checked, with defaults and compiled rules. */
export interface WebSocketSettings {
  readonly path: string;
  readonly codecs: readonly [Codec, ...Codec[]];
  readonly allowsOrigin: OriginCheck | undefined;
  readonly judgeHost: ((host: string | undefined) => HostVerdict) | undefined;
  readonly cookieName: string | undefined;
  readonly trustProxy: TrustProxy;
  readonly queryToken: string | undefined;
  readonly compression: CompressionOptions | undefined;
  readonly handshakeTimeoutMs: number;
  readonly maxPendingHandshakes: number;
  readonly closeTimeoutMs: number;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

/** @throws TypeError or RangeError naming the option and the remedy. */
export function resolveOptions(options: WebSocketTransportOptions): WebSocketSettings {
  const { path = '/realtime', trustProxy = false, compression = false, onError = () => undefined } = options;
  if (!/^\/[^?#\s]*$/.test(path)) {
    throw new TypeError(
      `path: "${path}" is not a path. It begins with "/" and has no query, e.g. "/realtime".`,
    );
  }
  if (typeof trustProxy === 'number') positive('trustProxy', trustProxy);
  if (compression !== false) checkCompression(compression);
  return {
    path,
    codecs: checkCodecs(options.codecs ?? [jsonCodec, msgpackCodec]),
    allowsOrigin: options.allowedOrigins === undefined ? undefined : compileOrigins(options.allowedOrigins),
    judgeHost: options.allowedHosts === undefined ? undefined : compileHosts(options.allowedHosts),
    cookieName: options.cookie === undefined ? undefined : named('cookie.name', options.cookie.name),
    trustProxy,
    queryToken: options.queryToken === undefined ? undefined : named('queryToken', options.queryToken),
    compression: compression === false ? undefined : compression,
    handshakeTimeoutMs: positive('handshakeTimeoutMs', options.handshakeTimeoutMs ?? 10_000),
    maxPendingHandshakes: positive('maxPendingHandshakes', options.maxPendingHandshakes ?? 10_000),
    closeTimeoutMs: positive('closeTimeoutMs', options.closeTimeoutMs ?? 5_000),
    clock: options.clock ?? systemClock,
    onError,
  };
}

function checkCodecs(codecs: readonly Codec[]): readonly [Codec, ...Codec[]] {
  const [first, ...others] = codecs;
  if (first === undefined) throw new TypeError('codecs: at least one is needed, e.g. [jsonCodec]');
  if (new Set(codecs.map((codec) => codec.subprotocol)).size < codecs.length) {
    throw new TypeError('codecs: two of them have the same subprotocol; a client could not choose');
  }
  return [first, ...others];
}

function positive(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new RangeError(`${name}: ${value} is not a positive integer`);
}

function named(name: string, value: string): string {
  // The characters of a token (RFC 9110 §5.6.2), which are those of a cookie's name.
  if (/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(value)) return value;
  throw new TypeError(`${name}: "${value}" is not a name`);
}
