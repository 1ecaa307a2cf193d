import type { Type } from '@nestjs/common';
import type { Broker } from '../core/ports/broker.js';
import type { MaybePromise } from '../core/ports/maybe-promise.js';
import type { RealtimeConnection } from '../core/ports/realtime-connection.js';
import type { Authenticator, RealtimeIdentity } from '../core/ports/identity.js';
import type { Codec } from '../protocol/codecs/codec.js';
import type { CompressionOptions, OriginRule, TrustProxy } from '../transports/websocket/index.js';
import type { Duration } from './options/duration.js';

/**
 * Verifies credentials: implement it for sessions, API keys or another identity provider. Throw a `RealtimeError`
 * with `unauthorized`, `token_expired`, `forbidden` or `banned`, or an `HttpException`, to refuse; whatever else is
 * thrown refuses too and is logged. Called at every connection and every `auth`; keep no result (G12).
 *
 * @example
 * @Injectable()
 * export class ApiKeys implements RealtimeAuthenticator {
 *   constructor(private readonly keys: KeysService) {}
 *   async authenticate({ token }: Credentials) {
 *     const owner = token === undefined ? undefined : await this.keys.ownerOf(token);
 *     if (owner === undefined) throw new RealtimeError('unauthorized', 'An API key is needed');
 *     return { user: { id: owner.id } };
 *   }
 * }
 */
export type RealtimeAuthenticator = Authenticator;

/** An algorithm of RFC 7518 that `@nestjs/jwt` verifies. */
export type JwtAlgorithm =
  | 'HS256'
  | 'HS384'
  | 'HS512'
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512'
  | 'ES256'
  | 'ES384'
  | 'ES512';

/** How tokens are verified, with `@nestjs/jwt`. Exactly one of `secret` and `publicKey` is needed. */
export interface RealtimeJwtOptions {
  /** Shared secret of HMAC tokens (HS*). At least 32 bytes are advised (RFC 7518 §3.2). */
  readonly secret?: string | Buffer | undefined;
  /** Public key, PEM, of signed tokens (RS*, PS*, ES*). */
  readonly publicKey?: string | Buffer | undefined;
  /**
   * Algorithms that are accepted; others are refused whatever the token's header says. Default: those that fit the
   * kind of the key, so a public key can never be used as an HMAC secret.
   */
  readonly algorithms?: readonly JwtAlgorithm[];
  /** Required `iss`. Default: not checked. */
  readonly issuer?: string | readonly string[] | undefined;
  /** Required `aud`. Default: not checked. Set it when the secret signs tokens for other purposes too. */
  readonly audience?: string | readonly string[] | undefined;
  /** Clock difference that is forgiven at `exp` and `nbf`. Default `'5s'`. */
  readonly clockTolerance?: Duration;
  /** Longest age of a token since its `iat`; a token without `iat` is then refused. Default: not checked. */
  readonly maxAge?: Duration;
  /** Makes the user of the claims. Default: the claims, with `sub` as `id`; a token without `sub` is refused. */
  readonly user?: (claims: Readonly<Record<string, unknown>>) => MaybePromise<RealtimeIdentity>;
}

/** How clients prove who they are, without a class of one's own. */
export interface RealtimeAuthOptions {
  /** Tokens, in the subprotocol, in `hello` or in `auth` (P2, P3). */
  readonly jwt?: RealtimeJwtOptions;
  /**
   * Also takes the token from this cookie of the handshake, of pages of the same origin or of
   * {@link RealtimeModuleOptions.allowedOrigins} only (G22).
   */
  readonly cookie?: { readonly name: string };
  /** Whether clients without credentials, or whom the authenticator gives no user, may connect. Default `false`. */
  readonly anonymous?: boolean;
  /** How long before a token's end the client is asked for a new one (G12). Default `'30s'`. */
  readonly requiredAhead?: Duration;
  /** Verifies instead of `jwt`: a provider's class, or an instance. */
  readonly authenticator?: Type<RealtimeAuthenticator> | RealtimeAuthenticator;
}

/**
 * Runs after authentication and before `welcome`, behind the global guards and those of the class. `false` refuses
 * with 4802, an error with its own code. `connection.data` is the place for what handlers need later.
 *
 * @example
 * @Injectable()
 * export class OfficeHours implements RealtimeConnectHook {
 *   onConnect(connection: RealtimeConnection) {
 *     connection.data.since = Date.now();
 *     return isOfficeHour();
 *   }
 * }
 */
export interface RealtimeConnectHook {
  /** Called once for each connection. `false` refuses it; `true` or nothing accepts it. */
  onConnect(connection: RealtimeConnection): MaybePromise<boolean | void>;
}

/** Bounds of what one client may send (G16). What `welcome` announces, clients keep to by themselves. */
export interface RealtimeLimits {
  /** Bytes of one frame. Default 262144 (256 KiB). */
  readonly maxFrameBytes?: number;
  /** Bytes of one message. Default 65536 (64 KiB). */
  readonly maxMessageBytes?: number;
  /** Messages in one frame. Default 256 (P4), at least 16: clients send so many before they know it (P3). */
  readonly maxEnvelopesPerFrame?: number;
  /** Subscriptions of one connection. Default 128. */
  readonly maxChannels?: number;
  /** Commands of one connection a second, sustained. Default 50. */
  readonly ratePerSecond?: number;
  /** Commands that may come at once above the rate. Default 100. */
  readonly burst?: number;
  /** Bytes of one connection a second, sustained. Default 524288 (512 KiB). */
  readonly bytesPerSecond?: number;
  /** Commands of all connections of one user a second. Default 200. */
  readonly userRatePerSecond?: number;
  /** Commands whose answer is pending; at the bound reading pauses. Default 64. */
  readonly maxInFlight?: number;
  /**
   * Connections of one address; more are refused with 429. Default 1000, because offices and carriers share
   * addresses.
   */
  readonly maxConnectionsPerAddress?: number;
  /** Connections of this node; more are refused with 503. Default 100000. */
  readonly maxConnections?: number;
  /** How long a client may repeat a publish under its id (P15). Default `'5m'`. */
  readonly dedupe?: Duration;
}

/** How abuse of the limits escalates (G16): an error each time, then a pause in reading, then 4807 and a ban. */
export interface RealtimeAbuseOptions {
  /** Violations within `window` after which reading pauses. Default 20. */
  readonly throttleAfter?: number;
  /** Violations within `window` after which the connection is closed. Default 200. */
  readonly closeAfter?: number;
  /** Default `'10s'`. */
  readonly window?: Duration;
  /** How long the user, or the address of an anonymous client, is then refused; 0 for not at all. Default `'1m'`. */
  readonly ban?: Duration;
}

/** Everything that can be set. Nothing needs to be but `auth`, where clients connect. */
export interface RealtimeModuleOptions {
  /** Path of the endpoint on the application's HTTP server; no global prefix is added. Default `'/realtime'`. */
  readonly path?: string;
  /**
   * How clients prove who they are: options, a provider's class, or an instance. Needed where clients connect, so
   * that a forgotten line is a boot error and not an open server; `{ anonymous: true }` says that everybody may.
   */
  readonly auth?: RealtimeAuthOptions | Type<RealtimeAuthenticator> | RealtimeAuthenticator;
  /**
   * Where the logs live: a broker, or a function that makes one for each application. Default: the embedded memory
   * broker, for one process, whose events end with the process (durability `process`).
   */
  readonly broker?: Broker | (() => Broker);
  /** Publishes and administers, but takes no clients; then `auth` is not needed. Default `false`. */
  readonly publisherOnly?: boolean;
  /** Injectable that may refuse connections. Default: none; global guards run at connect in any case. */
  readonly connect?: Type<RealtimeConnectHook>;

  /**
   * Pages that may connect, for every handshake that carries an `Origin` (G22): exact origins
   * (`'https://app.example.com'`), `'same-origin'`, a RegExp for the whole origin, or a function. Default: any page,
   * because a token cannot be forged by a page; cookies then count for pages of the same origin only.
   */
  readonly allowedOrigins?: OriginRule | readonly OriginRule[];
  /** Values of `Host` that are served, `name` or `name:port`, against DNS rebinding. Default: all. */
  readonly allowedHosts?: readonly string[];
  /**
   * Proxies that are believed about the client's address and scheme: how many stand in front, or a predicate of their
   * address. Default `false`: what the socket says counts. Too many let clients choose their address, and so evade
   * limits and bans.
   */
  readonly trustProxy?: TrustProxy;
  /**
   * Query parameter that may carry the token. Default: none, because URLs end up in the logs of proxies and servers
   * (G23).
   */
  readonly queryToken?: string | undefined;

  /** Liveness (P8). Default `{ interval: '25s', timeout: '10s' }`. */
  readonly heartbeat?: { readonly interval?: Duration; readonly timeout?: Duration };
  /**
   * Shortest time after which a proxy or balancer on the way cuts an idle connection. The heartbeat must fit inside,
   * or the application does not boot. Default `'60s'` (nginx, ALB). `false` if there is none.
   */
  readonly proxyIdleTimeout?: Duration | false;
  /** How long a client may take for its first message (P3). Default `'10s'`. */
  readonly helloTimeout?: Duration;
  /** Longest run of one handler; the command is then answered with `timeout`. Default `'10s'`. */
  readonly handlerTimeout?: Duration;
  /** How clients come back (P19). Default `{ base: '500ms', max: '20s', firstSpread: '2s', stable: '10s' }`. */
  readonly retry?: {
    readonly base?: Duration;
    readonly max?: Duration;
    readonly firstSpread?: Duration;
    readonly stable?: Duration;
  };

  /** What one client may send, and how many may connect (G16, G17). Each has its own default. */
  readonly limits?: RealtimeLimits;
  /** What happens to clients that go beyond the limits again and again (G16). Each has its own default. */
  readonly abuse?: RealtimeAbuseOptions;
  /** Bounds of one connection's outbound queue (G13). Default 1 MiB and 4096 messages. */
  readonly outbox?: { readonly maxBytes?: number; readonly maxMessages?: number };

  /**
   * Longest time that events wait for others to share a write with. Nothing waits while the node keeps up; under load,
   * where events come in faster than they can be written one by one, throughput then grows instead of latency: writing and
   * waiting together take twice this at most, until the node is at its limit. `0` for never, at most `'1s'`. Default `'20ms'`.
   */
  readonly maxFlushDelay?: Duration;

  /**
   * Signs session tickets (P28); at least 32 characters, the same on every node. Default: random for each process, so
   * clients that move to another node lose their place in the queue and the take-over of presence, but no events.
   */
  readonly ticketSecret?: string | undefined;
  /**
   * How `app.close()` lets clients go (G18): longest wait, and over how much of it they are asked to come back.
   * Default `{ deadline: '10s', spread: '5s' }`. The broker gets as long again to let go, so keep twice the deadline
   * and 5 s below the orchestrator's grace period.
   */
  readonly drain?: { readonly deadline?: Duration; readonly spread?: Duration };

  /**
   * `permessage-deflate`; `true` for its defaults. Default `false`: it costs CPU, and compressed secrets can be
   * guessed (G24).
   */
  readonly compression?: boolean | CompressionOptions;
  /**
   * Codecs that are spoken, in order of preference; the first serves clients that ask for none. Default: JSON and
   * MessagePack.
   */
  readonly codecs?: readonly Codec[];

  /**
   * How long interest in a channel outlives its last subscriber. Default `'5s'`: page reloads need no broker round
   * trip.
   */
  readonly linger?: Duration;
  /** Recent events of a served channel that a node keeps, to join replay with live (G8). Default 256. */
  readonly ringSize?: number;
  /** Life of a presence entry whose node died (G19). Default `'30s'`. */
  readonly presenceLease?: Duration;
  /** Name of this node in tickets, receipts and logs. Default: random. */
  readonly nodeId?: string | undefined;
  /** Producer name of the application's own publishes (P15). Default `'application'`. */
  readonly applicationName?: string;
}

/**
 * Makes the options, for `forRootAsync({ useClass })` and `useExisting`.
 *
 * @example
 * @Injectable()
 * export class RealtimeConfig implements RealtimeOptionsFactory {
 *   constructor(private readonly config: ConfigService) {}
 *   createRealtimeOptions() {
 *     return { auth: { jwt: { secret: this.config.getOrThrow('JWT_SECRET') } } };
 *   }
 * }
 */
export interface RealtimeOptionsFactory {
  /** Called once, before the module starts. What it throws ends the start. */
  createRealtimeOptions(): MaybePromise<RealtimeModuleOptions>;
}
