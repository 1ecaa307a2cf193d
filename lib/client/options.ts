import type { Codec } from '../protocol/codecs/codec.js';
import { plainJsonCodec } from '../protocol/codecs/plain-json.js';
import { systemClientClock, type ClientClock } from './clock.js';
import { silentLog, type ClientLog } from './log.js';
import type { ClientFetch } from './transport/probe.js';
import type { Fallback } from './transport/fallback.js';
import type { WebSocketConstructor } from './transport/websocket.js';

/** Gives the token that authenticates the user. */
export type TokenProvider = () => string | Promise<string>;

/**
 * Settings of a {@link RealtimeClient}. All are optional; durations are in milliseconds.
 *
 * @example
 * new RealtimeClient('https://example.com/realtime', { token: () => fetchShortLivedToken() });
 */
export interface RealtimeClientOptions {
  /**
   * Gives the token. Called before a connect whose token is stale or was refused, and again before the token expires;
   * the new one then replaces it without a reconnect (G12). When it throws, or gives no token, the client waits and asks
   * again; throw `new RealtimeError('unauthorized')` to stop for good. Leave it out with cookie authentication.
   */
  readonly token?: TokenProvider;
  /**
   * How the token travels when connecting: inside `hello` (default), or with the upgrade as the subprotocol
   * `bearer.<token>` (P2), for servers that refuse upgrades without one. Never in the URL.
   */
  readonly tokenIn?: 'hello' | 'subprotocol';
  /**
   * Proves with the upgrade that the page may use its cookie, as the subprotocol `csrf.<token>` (P2e): for pages of other origins than
   * the server's. What `csrfToken()` of `nestjs-realtime/auth` made on the server. Default: none.
   */
  readonly csrf?: string;
  /** Wire format. Default JSON; `msgpackCodec` is in `nestjs-realtime/client/msgpack`. */
  readonly codec?: Codec;
  /** WebSocket class. Default the platform's own; Node 20 has none: pass `WebSocket` of the package `ws`. */
  readonly webSocket?: WebSocketConstructor;
  /** Third argument of that class, e.g. `{ headers: { cookie } }` for `ws`. A browser's class has none. */
  readonly webSocketOptions?: Record<string, unknown>;
  /**
   * Other transports for networks that break WebSocket: `httpFallback()` of `nestjs-realtime/client/http`. Default: none.
   *
   * @example new RealtimeClient('/realtime', { fallback: httpFallback() });
   */
  readonly fallback?: Fallback;
  /** Asks the server why an upgrade failed (P18). Default the platform's `fetch`; `false` never asks. */
  readonly fetch?: ClientFetch | false;
  /**
   * Whether the page's signals count: `offline`, `online`, `visibilitychange`, `pageshow`, `resume`, and a change of
   * `navigator.connection`. The connection is then checked within two seconds, and a wait that the server did not ask for
   * ends (P19). Default true; without effect where there are none of them.
   */
  readonly network?: boolean;
  /** The name of this client in the server's logs and metrics. Default `{ name: 'nestjs-realtime' }`. */
  readonly client?: { readonly name?: string; readonly version?: string };
  /** Longest time from the start of an attempt to `welcome`, and longest run of the token provider. Default 10 000. */
  readonly connectTimeoutMs?: number;
  /** Longest wait for the answer to a command, except publishes. Default 30 000. */
  readonly requestTimeoutMs?: number;
  /** Longest time a publish waits to be sent; then it fails with `timeout`. Default 120 000. */
  readonly publishTimeoutMs?: number;
  /**
   * Commands that wait for a connection or an answer; `subscribe` and `unsubscribe` do not count. One more fails with
   * `rate_limited`. Default 1 024.
   */
  readonly maxPendingCommands?: number;
  /** Publishes that wait for their acknowledgement. One more fails with `rate_limited`. Default 1 000. */
  readonly maxQueuedPublishes?: number;
  /** Encoded bytes of those publishes. Default 4 MiB. */
  readonly maxQueuedBytes?: number;
  /** Members kept for one channel; of more only the number is known. Default 10 000. */
  readonly maxPresenceMembers?: number;
  /** Time. Default the machine's. */
  readonly clock?: ClientClock;
  /** Uniform in [0, 1), for jitter. Default `Math.random`. */
  readonly random?: () => number;
  /** Gets a line for all that the client does and meets: attempts, waits with their reason, errors. Default: silent. */
  readonly log?: ClientLog;
  /**
   * Called with each publish, signal, request and read, and with each subscribe: what it returns is sent as `trace`, a W3C `traceparent`
   * that the server's spans link to. It must not throw. Default: none is sent.
   */
  readonly trace?: () => string | undefined;
  /** Makes unique ids of 1–64 characters, for commands and publishes. Default UUIDv7. */
  readonly ids?: () => string;
}

/** Options with every default filled in. */
export type ClientSettings = Required<
  Omit<RealtimeClientOptions, 'token' | 'webSocket' | 'webSocketOptions' | 'fallback' | 'csrf' | 'trace'>
> &
  Pick<RealtimeClientOptions, 'token' | 'webSocket' | 'webSocketOptions' | 'fallback' | 'csrf' | 'trace'>;

type NumberOption = {
  [Name in keyof ClientSettings]-?: ClientSettings[Name] extends number ? Name : never;
}[keyof ClientSettings];

/**
 * Fills in the defaults. Nothing of the platform is looked up here, so that a client can be made where there is none yet,
 * e.g. at the top of a module that a server renders.
 *
 * @throws RangeError for a number that is not above 0, TypeError for a token or a fallback that is not a function and for an
 * unknown option; all name the option.
 */
export function settingsOf(options: RealtimeClientOptions): ClientSettings {
  const number = (name: NumberOption, fallback: number): number => {
    const value: unknown = options[name] ?? fallback;
    if (typeof value === 'number' && value > 0) return value;
    throw new RangeError(`The option "${name}" must be a number above 0`);
  };
  const { token, webSocket, webSocketOptions, fallback, csrf, trace } = options;
  if (token !== undefined && typeof (token as unknown) !== 'function') {
    throw new TypeError('The option "token" must be a function: token: () => token');
  }
  if (fallback !== undefined && typeof (fallback as unknown) !== 'function') {
    throw new TypeError('The option "fallback" must be httpFallback()');
  }
  const settings = {
    token,
    webSocket,
    webSocketOptions,
    fallback,
    csrf,
    trace,
    log: options.log ?? silentLog,
    tokenIn: options.tokenIn ?? 'hello',
    codec: options.codec ?? plainJsonCodec,
    fetch: options.fetch ?? platformFetch,
    network: options.network ?? true,
    client: options.client ?? { name: 'nestjs-realtime' },
    connectTimeoutMs: number('connectTimeoutMs', 10_000),
    requestTimeoutMs: number('requestTimeoutMs', 30_000),
    publishTimeoutMs: number('publishTimeoutMs', 120_000),
    maxPendingCommands: number('maxPendingCommands', 1_024),
    maxQueuedPublishes: number('maxQueuedPublishes', 1_000),
    maxQueuedBytes: number('maxQueuedBytes', 4 * 1_024 * 1_024),
    maxPresenceMembers: number('maxPresenceMembers', 10_000),
    clock: options.clock ?? systemClientClock(),
    random: options.random ?? Math.random,
    ids: options.ids ?? uuidv7,
  } satisfies ClientSettings;
  for (const name of Object.keys(options))
    if (!(name in settings)) throw new TypeError(`There is no option "${name}"`);
  return settings;
}

/** Called on the global object: a browser's fetch throws "Illegal invocation" on any other. */
const platformFetch: ClientFetch = (url, init) => globalThis.fetch(url, init);

/**
 * A UUIDv7 (RFC 9562 §5.7): 48 bits of milliseconds, then random bits. `crypto.randomUUID` exists in secure
 * contexts only; `getRandomValues` exists on plain http pages and in workers too. React Native has none of them: an id has
 * to be unique, not secret.
 */
export function uuidv7(): string {
  const { crypto } = globalThis as { crypto?: Pick<Crypto, 'getRandomValues'> };
  const bytes = new Uint8Array(10);
  if (crypto === undefined) bytes.forEach((_, index) => (bytes[index] = Math.random() * 256));
  else crypto.getRandomValues(bytes);
  // The version, and the variant.
  bytes[0] = ((bytes[0] ?? 0) & 0x0f) | 0x70;
  bytes[2] = ((bytes[2] ?? 0) & 0x3f) | 0x80;
  const random = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  const id = Date.now().toString(16).padStart(12, '0') + random;
  return id.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
