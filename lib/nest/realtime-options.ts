import type { Type } from '@nestjs/common';
import type { AuditSink } from '../core/ports/audit.js';
import type { Broker } from '../core/ports/broker.js';
import type { RealtimeConsumer } from '../core/ports/consumers.js';
import type { MaybePromise } from '../core/ports/maybe-promise.js';
import type { RealtimeConnection } from '../core/ports/realtime-connection.js';
import type { Authenticator, RealtimeIdentity } from '../core/ports/identity.js';
import type { Observer } from '../core/ports/observer.js';
import type { SpamDetector } from '../core/ports/spam.js';
import type { RealtimeTracing } from '../core/ports/tracer.js';
import type { LimitsForUser } from '../core/ports/user-limits.js';
import type { Codec } from '../protocol/codecs/codec.js';
import type { CompressionOptions, OriginRule, TrustProxy } from '../transports/websocket/index.js';
import type { RealtimeHooks } from './hooks.js';
import type { Duration } from './options/duration.js';

/**
 * Verifies credentials: implement it for sessions, API keys or another identity provider. To refuse, throw a
 * `RealtimeError` with `unauthorized`, `token_expired`, `forbidden` or `banned`, or an `HttpException`; any other error
 * refuses too and is logged. Called at every connection and every `auth`; do not cache the result (G12).
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
export type JwtAlgorithm = `${'HS' | 'RS' | 'PS' | 'ES'}${256 | 384 | 512}`;

/** An algorithm that a key of a JWK Set may have: of a public key, never HMAC. */
export type JwksAlgorithm = Exclude<JwtAlgorithm, `HS${string}`> | 'EdDSA' | 'Ed25519';

/**
 * An issuer whose tokens are accepted, and where its keys are. Its keys are asked for when the first token of the issuer comes, and
 * never at a place that a token names.
 *
 * @example { issuer: 'https://example.eu.auth0.com/', url: 'https://example.eu.auth0.com/.well-known/jwks.json', audience: 'https://api.example.com' }
 */
export interface RealtimeJwks {
  /** The `iss` of its tokens, exactly, a final slash included. */
  readonly issuer: string;
  /**
   * Where its JWK Set is (`jwks_uri` of its discovery document): with `https:`, or with `http:` on the host itself. Redirects are not
   * followed.
   */
  readonly url: string;
  /** Required `aud` of its tokens. Default: `auth.jwt.audience`. */
  readonly audience?: string | readonly string[] | undefined;
  /** Algorithms that are accepted. Default: those that fit each key, or the one that it names. */
  readonly algorithms?: readonly JwksAlgorithm[];
  /** Whether `url` may be plain `http:` to another host: whoever is on the way can then sign in as anybody. Default `false`. */
  readonly allowHttp?: boolean;
}

/** How the keys of {@link RealtimeJwtOptions.jwks} are kept. Durations are measured, not compared with a wall clock. */
export interface RealtimeJwksCache {
  /** Age at which keys are asked for again, in the background: how long a key that was withdrawn still counts. Default `'5m'`. */
  readonly refresh?: Duration;
  /** Age at which keys no longer count, where the key server cannot be reached; at least `refresh`. Default `'1h'`. */
  readonly keep?: Duration;
  /**
   * Least time between two requests that an unknown `kid` causes, for each issuer. Until it is over, tokens with an unknown one are
   * answered with `unavailable`. Default `'30s'`.
   */
  readonly cooldown?: Duration;
  /** How long the key server may take for its answer. Default `'5s'`. */
  readonly timeout?: Duration;
  /** Bytes of its answer. Default 262144 (256 KiB). */
  readonly maxBytes?: number;
  /** Keys in its answer. Default 100. */
  readonly maxKeys?: number;
}

/**
 * How tokens are verified: with one key by `@nestjs/jwt`, or with the keys of issuers by `jose`. Exactly one of `secret`, `publicKey`
 * and `jwks` is needed.
 */
export interface RealtimeJwtOptions {
  /** Shared secret of HMAC tokens (HS*). At least 32 bytes are advised (RFC 7518 §3.2). */
  readonly secret?: string | Buffer | undefined;
  /** Public key, PEM, of signed tokens (RS*, PS*, ES*). */
  readonly publicKey?: string | Buffer | undefined;
  /**
   * Issuers with keys of their own, such as identity providers, and where the keys are; needs the package `jose`. With several, two may
   * name different users by the same `sub`, so `user` is then needed. Default: none.
   */
  readonly jwks?: RealtimeJwks | readonly RealtimeJwks[];
  /** How the keys of `jwks` are kept. */
  readonly jwksCache?: RealtimeJwksCache;
  /**
   * Algorithms that are accepted with `secret` or `publicKey`; others are refused whatever the token's header says. Default: those that
   * fit the kind of the key, so a public key can never be used as an HMAC secret.
   */
  readonly algorithms?: readonly JwtAlgorithm[];
  /** Required `iss`, with `secret` or `publicKey`. Default: not checked. */
  readonly issuer?: string | readonly string[] | undefined;
  /** Required `aud`. Set it when the key signs tokens for other purposes too. Default: not checked. */
  readonly audience?: string | readonly string[] | undefined;
  /** Clock difference that is tolerated at `exp` and `nbf`. Default `'5s'`. */
  readonly clockTolerance?: Duration;
  /** Maximum age of a token since its `iat`; a token without `iat` is then refused. Default: not checked. */
  readonly maxAge?: Duration;
  /** Makes the user from the claims. Default: the claims, with `sub` as `id`; a token without `sub` is refused. */
  readonly user?: (claims: Readonly<Record<string, unknown>>) => MaybePromise<RealtimeIdentity>;
}

/** How clients prove who they are, without a class of your own. */
export interface RealtimeAuthOptions {
  /** Verifies tokens that come in the subprotocol, in `hello`, or in `auth`. Default: none. */
  readonly jwt?: RealtimeJwtOptions;
  /**
   * Also takes the token from this cookie of the handshake, but only for pages of the same origin and those of
   * {@link RealtimeModuleOptions.allowedOrigins} (G22). Default: none.
   */
  readonly cookie?: {
    /** Name of the cookie. */
    readonly name: string;
    /**
     * Lets upgrades of other pages, and those without `Origin`, prove by a token of `csrfToken()` that they may use the cookie (P2e):
     * for pages whose origins cannot be listed. Default: none, so only the `Origin` counts.
     */
    readonly csrf?: {
      /** Secret of these tokens, at least 32 bytes; the same on every node. */
      readonly secret: string | undefined;
    };
  };
  /** Whether clients without credentials, and those for whom the authenticator returns no user, may connect. Default `false`. */
  readonly anonymous?: boolean;
  /** How long before a token expires the client is asked for a new one (G12). Default `'30s'`. */
  readonly requiredAhead?: Duration;
  /** Verifies instead of `jwt`: the class of a provider, or an instance. Default: none. */
  readonly authenticator?: Type<RealtimeAuthenticator> | RealtimeAuthenticator;
}

/**
 * Runs after authentication and before `welcome`, behind the global guards and those of the class. `false` refuses
 * with 4802, an error with its own code. Put what handlers need later into `connection.data`.
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

/** Bounds of what one client may send (G16). Clients respect those that `welcome` announces. */
export interface RealtimeLimits {
  /**
   * Limits of single users, by their plan or tenant; `undefined` for those of everybody. Called when a user connects, and with each
   * further token. It has to answer at once: put what it needs of a database into the user, in the authenticator or `auth.jwt.user`,
   * which may wait. Where it throws, or returns what is no limit or a promise, the user is refused for the moment (`unavailable`), and
   * the log says so. Everything is counted on each node by itself. Default: none.
   *
   * @example
   * forUser: ({ plan, org }) => ({
   *   ratePerSecond: plan === 'pro' ? 200 : 10,
   *   tenant: { id: String(org), maxConnections: 500, ratePerSecond: 1_000 },
   * })
   */
  readonly forUser?: LimitsForUser;
  /** Bytes of one frame; at most twice `bytesPerSecond`. Default 262144 (256 KiB). */
  readonly maxFrameBytes?: number;
  /** Bytes of one message; at most `maxFrameBytes`. Default 65536 (64 KiB). */
  readonly maxMessageBytes?: number;
  /** Messages in one frame; at least 16, because clients send as many before they know the limit (P3). Default 256. */
  readonly maxEnvelopesPerFrame?: number;
  /** Subscriptions of one connection. Default 128. */
  readonly maxChannels?: number;
  /** Commands of one connection per second, sustained. Default 50. */
  readonly ratePerSecond?: number;
  /** Commands that may come at once, above the rate. Default 100. */
  readonly burst?: number;
  /** Bytes of one connection per second, sustained. Default 524288 (512 KiB). */
  readonly bytesPerSecond?: number;
  /** Commands per second of all connections of one user. Default 200. */
  readonly userRatePerSecond?: number;
  /**
   * Bytes per second of answers to one connection, sustained: pages of history and members, snapshots, replies to requests.
   * Eight seconds' worth may come at once; then such commands are refused for the moment. Replayed events do not count.
   * Default 1048576 (1 MiB).
   */
  readonly answerBytesPerSecond?: number;
  /** The same over all connections of one user, or of the anonymous clients of one address. Default 4194304 (4 MiB). */
  readonly userAnswerBytesPerSecond?: number;
  /**
   * Time in which a user, or an address of anonymous clients, regains twice `maxChannels` subscribes that do not count as
   * commands. Default `'1m'`.
   */
  readonly freeSubscribesEvery?: Duration;
  /** Commands of one connection that run at the same time; more wait, and the server stops reading. Default 64. */
  readonly maxInFlight?: number;
  /**
   * Commands of one connection that wait because `maxInFlight` run, or because the node serves others first; more are refused
   * for the moment. Default 1024.
   */
  readonly maxQueuedCommands?: number;
  /** Bytes of memory of those that wait. Default 1048576 (1 MiB). */
  readonly maxQueuedBytes?: number;
  /**
   * Bytes of memory of the commands that wait on all connections of a node, and of those that run, with 3 KiB more for each; one
   * user may hold an eighth, and always 16 KiB. An empty list is three bytes of JSON and 48 of memory: what counts is the memory. Default 33554432 (32 MiB).
   */
  readonly maxWaitingCommandBytes?: number;
  /**
   * WebSocket frames of one connection for each command that `ratePerSecond` and `burst` allow. Fragments, pings, pongs and
   * empty frames count; above it the server stops reading, then closes with 4807. Default 8.
   */
  readonly framesPerCommand?: number;
  /**
   * Bytes of messages that clients have begun and not ended, of what waits in their sockets for its turn, and of commands before
   * `welcome`, over all connections of this node; at least `maxFrameBytes`. Above it the client that holds most, at the address
   * that holds most, loses the connection with its largest (4006). Default 33554432 (32 MiB).
   */
  readonly maxUnfinishedBytes?: number;
  /** Subscribers that a signal or a presence update may reach on this node for the price of one command. Default 64. */
  readonly deliveriesPerCommand?: number;
  /** Credentials that are being verified at the same time; more wait for `admissionWait`, and addresses take turns. Default 1000. */
  readonly maxVerifications?: number;
  /** The same for one address. Default 100. */
  readonly maxVerificationsPerAddress?: number;
  /**
   * New connections of one address per second, sustained; `maxConnectionsPerAddress` may come at once. Above it they wait for
   * `admissionWait`. Default 100.
   */
  readonly connectsPerSecond?: number;
  /**
   * New connections of this node per second, sustained; twice as many may come at once. Above it they wait for `admissionWait`, and
   * addresses take turns; then they are refused for the moment (503). 0 for no bound, also of `nodeReturnsPerSecond`. Default 500.
   */
  readonly nodeConnectsPerSecond?: number;
  /**
   * The same for clients that come back: those that bring the ticket of a session that is at most 7 days old, e.g. after a restart.
   * `nodeConnectsPerSecond` does not count them. Nodes of a cluster know each other's tickets by the `ticketSecret`. Default 1500.
   */
  readonly nodeReturnsPerSecond?: number;
  /**
   * How long a new connection above `connectsPerSecond` or the rates of the node may wait for its turn, and a credential for a place to be verified
   * (`maxVerifications`); then, or where it would take longer, it is refused for the moment (429, or 4006 after `hello`). 0 refuses
   * at once. At most a minute. Default `'5s'`.
   */
  readonly admissionWait?: Duration;
  /**
   * Bytes of new connections that wait, and of credentials that wait, on this node; each counts 8 KiB more than it sent. Where
   * there is no room, the last to come of the address that holds most makes it. Default 16777216 (16 MiB).
   */
  readonly maxWaitingBytes?: number;
  /** Users and addresses whose rates are remembered, for each kind of rate. The oldest are forgotten. Default 100000. */
  readonly maxRateBuckets?: number;
  /** Connections of one address; more are refused with 429. Offices and carriers share addresses. Default 1000. */
  readonly maxConnectionsPerAddress?: number;
  /**
   * Connections of one user, over all nodes and transports: sockets, sessions over HTTP and plain streams. One that continues a
   * session takes the place of its older one. Anonymous clients are bounded by `maxConnectionsPerAddress`. While a node does not
   * answer it is not waited for, and a user may have more. 0 for no bound. Default 100.
   */
  readonly maxConnectionsPerUser?: number;
  /**
   * What happens when a user has as many connections as may be. `'refuse'`: the newest is refused with 4009, and tries again later.
   * `'end_oldest'`: it is admitted, and the oldest ends with 4812, which does not come back by itself. Default `'refuse'`.
   */
  readonly whenUserIsFull?: 'refuse' | 'end_oldest';
  /**
   * First bits of IPv6 addresses that limits and bans of an address compare, 32 to 128: whoever has one address of a network can
   * use all of them. Default 64, the smallest network that providers assign.
   */
  readonly ipv6Prefix?: number;
  /** Connections of this node; more are refused with 503. Default 100000. */
  readonly maxConnections?: number;
  /**
   * Bytes of one event or signal, whoever sends it, the application included (P29e): `payload` and `meta` as JSON, and
   * `event`, `id`, `user`, `key` and `trace`, in UTF-8. Bytes count as their base64. A larger one is refused with
   * `message_too_large`: send a reference to large data. Default 1048576 (1 MiB).
   */
  readonly maxEventBytes?: number;
  /** How long a client may repeat a publish under its id (P15). Default `'5m'`. */
  readonly dedupe?: Duration;
  /**
   * Bytes of the `params` of one subscribe; more are refused with `message_too_large`. They are kept while the subscription lasts
   * where an authorization or a snapshot may need them again. Default 4096 (4 KiB).
   */
  readonly maxParamsBytes?: number;
  /** Bytes of the presence data of one member; more are refused with `message_too_large`. Default 4096 (4 KiB). */
  readonly maxPresenceBytes?: number;
  /**
   * Bytes that the subscriptions of one connection keep: 512 for each, its name, `params` and presence data. Beyond it a subscribe
   * is refused with `rate_limited`. Default 4194304 (4 MiB).
   */
  readonly maxRetainedBytes?: number;
  /** The same over all connections of one user, or of the anonymous clients of one address. Default 33554432 (32 MiB). */
  readonly maxRetainedBytesPerUser?: number;
  /**
   * Bytes of one page of `history` or of members. A page ends before it would be larger, with `more`; a single larger event is a
   * page of its own. Default 262144 (256 KiB).
   */
  readonly maxPageBytes?: number;
  /**
   * Bytes of one answer that a handler made, to a request or with a snapshot; a larger one becomes `message_too_large`, and the log
   * names the handler. Default 1048576 (1 MiB).
   */
  readonly maxAnswerBytes?: number;
  /**
   * Bytes of publishes on this node that the broker has not answered; more fail with `unavailable`. Default 67108864 (64 MiB).
   */
  readonly maxAppendBytes?: number;
  /**
   * Different channels that one user, or the anonymous clients of one address, may name within `distinctChannelsWindow` without
   * being subscribed; never less than twice `maxChannels`. More are refused with `rate_limited`. Default 5000.
   */
  readonly maxDistinctChannels?: number;
  /** See `maxDistinctChannels`. Default `'10m'`. */
  readonly distinctChannelsWindow?: Duration;
  /** Channels that this node serves at the same time; a subscribe to another is refused with `unavailable`. Default 200000. */
  readonly maxServedChannels?: number;
}

/**
 * What happens to a client that exceeds the limits: an error each time, then a pause in reading, then a close with 4807
 * and a ban (G16).
 */
export interface RealtimeAbuseOptions {
  /** Violations within `window` after which the server pauses reading. Default 20. */
  readonly throttleAfter?: number;
  /** Violations within `window` after which the connection is closed. Default 200. */
  readonly closeAfter?: number;
  /** Length of the time window in which violations are counted. Default `'10s'`. */
  readonly window?: Duration;
  /** How long the user, or the address of an anonymous client, is refused afterwards; 0 for no ban. Default `'1m'`. */
  readonly ban?: Duration;
  /**
   * Refused credentials of one address within `authFailureWindow`; above it, more of them are answered with 429 or
   * `rate_limited`. Valid ones are still admitted. Default 100.
   */
  readonly authFailures?: number;
  /** See `authFailures`. Default `'1m'`. */
  readonly authFailureWindow?: Duration;
  /**
   * How long an address above `authFailures` is held: its credentials that are not valid are answered so, those that are valid
   * admitted. Twice as long each time that it soon is above it again, at most `authHoldMax`. Default `'5s'`.
   */
  readonly authHold?: Duration;
  /** Longest time that an address is held. At most half an hour. Default `'5m'`. */
  readonly authHoldMax?: Duration;
}

/**
 * When handlers that keep failing are left alone (G16): publish and request handlers, and authorizations. A failure is an error that is
 * not meant for the client, or no answer within `handlerTimeout`; whoever refuses, with a `RealtimeError` or an `HttpException` below
 * 500, does not fail. Commands are then refused without a call: with `rate_limited`, of an authorization with `unavailable`, and in
 * any case with the `reason` `circuit_open` and `retryAfterMs`. Later one call at a time tries whether the handler works again.
 */
export interface RealtimeCircuitOptions {
  /**
   * Failures of one handler within `window`, after which it is left alone for all clients of this node; 0 for never. One client
   * counts for its part of them at most: see `clients`. Set it, for example to 20, where every client is known: a few that can make
   * a handler fail could otherwise keep it from all others. Default 0.
   */
  readonly failures?: number;
  /** Of how many users, or addresses of anonymous clients, they have to be. Default 3. */
  readonly clients?: number;
  /** Percent of its calls, and of the clients that call it, that have to fail. Default 50. */
  readonly share?: number;
  /** Length of the time window in which failures are counted. Default `'10s'`. */
  readonly window?: Duration;
  /** Failures one after another of one client at one handler within `window`, after which it is left alone for this client; 0 for never. Default 10. */
  readonly clientFailures?: number;
  /** How long it is left alone; each time that it soon fails again, twice as long. At most `maxOpenFor`. Default `'5s'`. */
  readonly openFor?: Duration;
  /** Longest time that it is left alone. Default `'1m'`. */
  readonly maxOpenFor?: Duration;
}

/** Options of moderation. */
export interface RealtimeModerationOptions {
  /**
   * Whether slow mode and `spam` leave a user alone in a channel, e.g. a moderator. Called for publishes in slow mode, and those that
   * are judged, and answers at once; one that throws counts as a no. Default: nobody is left alone.
   *
   * @example isExempt: (user, channel) => user['role'] === 'moderator'
   */
  readonly isExempt?: (user: RealtimeIdentity, channel: string) => boolean;
  /**
   * What is done against spam in what clients publish; users whom `isExempt` names are left alone. Each publish is judged after its
   * authorization and before its handler. Default: nothing.
   */
  readonly spam?: RealtimeSpamOptions;
}

/** What is done against spam. */
export interface RealtimeSpamOptions {
  /** Decides about each publish: `repeatsAndBursts()` of `nestjs-realtime/moderation`, or one of your own. */
  readonly detector: SpamDetector;
  /** Names of channels, or patterns as in `@Channel`, whose publishes are judged. Default: all. */
  readonly channels?: readonly string[];
  /**
   * What happens at the first strike, at the second and so on; later ones repeat the last. They concern a user everywhere, an anonymous
   * client for its session. What a client sends within three seconds after a strike is refused and is no further one.
   * Default: warn, slow, mute, ban, as docs/moderation.md has them.
   *
   * @example steps: [{ step: 'warn' }, { step: 'warn' }, { step: 'mute', for: '1h' }]
   */
  readonly steps?: readonly RealtimeSpamStep[];
  /** Time after which one strike is forgotten. Default `'30m'`. */
  readonly decay?: Duration;
  /**
   * What happens to a publish where the detector throws, rejects, returns no verdict, or takes longer than `handlerTimeout`: it passes,
   * or is refused with `unavailable`; the log says so. Default `'allow'`.
   */
  readonly onFailure?: 'allow' | 'refuse';
}

/** One step against spam. */
export type RealtimeSpamStep =
  | { readonly step: 'warn' }
  | { readonly step: 'slow'; readonly every: Duration; readonly for: Duration }
  | { readonly step: 'mute' | 'ban'; readonly for: Duration };

/** Everything that can be set. Only `auth` is needed, where clients connect. */
export interface RealtimeModuleOptions {
  /** Path of the endpoint on the application's HTTP server; no global prefix is added. Default `'/realtime'`. */
  readonly path?: string;
  /** What clients can connect with beside WebSocket. */
  readonly transports?: {
    /**
     * Plain event streams at `{path}/sse?channels=a,b`, for `EventSource`, `curl` and every language (P20): the same channels, under
     * the same authorizations. `false` leaves the path to the application; `serveFeed` works in any case. Default `true`.
     */
    readonly sse?: boolean;
    /**
     * Sessions of client libraries over HTTP, for networks that break WebSocket (P21): they send by `POST {path}/send`, and are sent
     * messages by the stream of `POST {path}/sse` or the answers to `POST {path}/poll`. `false` leaves these to the application.
     * Default: as `sse`.
     */
    readonly httpSessions?: boolean;
  };
  /**
   * How clients prove who they are: options, the class of a provider, or an instance. Needed where clients connect, so
   * that a forgotten line is a boot error and not an open server; `{ anonymous: true }` lets everybody connect.
   */
  readonly auth?: RealtimeAuthOptions | Type<RealtimeAuthenticator> | RealtimeAuthenticator;
  /**
   * Where the logs are kept: a broker, or a function that makes one for each application. Default: the embedded memory
   * broker, for a single process; its events are lost when the process ends (durability `process`).
   */
  readonly broker?: Broker | (() => Broker);
  /** Publishes and administers, but accepts no clients; `auth` is then not needed. Default `false`. */
  readonly publisherOnly?: boolean;
  /**
   * Whether the application's global guards, interceptors and pipes run on channels and when a client connects. `false` leaves
   * all of them out, for those that serve HTTP only; what is bound to a class or method runs in any case. Default `true`.
   */
  readonly globalEnhancers?: boolean;
  /** An injectable that may refuse connections; global guards run before it. Default: none. */
  readonly connect?: Type<RealtimeConnectHook>;

  /**
   * Pages that may connect, for every handshake that carries an `Origin` (G22): exact origins
   * (`'https://app.example.com'`), `'same-origin'`, a RegExp for the whole origin, or a function. Default: any page,
   * because a page cannot forge a token; cookies then count for pages of the same origin only.
   */
  readonly allowedOrigins?: OriginRule | readonly OriginRule[];
  /** Values of `Host` that are served, `name` or `name:port`, against DNS rebinding. Default: all. */
  readonly allowedHosts?: readonly string[];
  /**
   * Proxies whose headers are trusted for the client's address and scheme: how many are in front of the server, their
   * addresses and networks (`['10.0.0.0/8', 'fd00::/8']`), or a predicate of their address. A number that is too high lets
   * clients choose their address, and so evade limits and bans. Default `false`: the address of the socket counts. Where the
   * option is left out, the first request that a proxy seems to have sent is warned of.
   */
  readonly trustProxy?: TrustProxy;
  /**
   * Refuses what did not come over TLS (403), upgrades, plain streams and probes alike, before a credential is read. TLS is that of
   * this application (`httpsOptions`), or that of a proxy that `trustProxy` trusts and that sends `X-Forwarded-Proto: https`; with
   * neither of them the application does not boot. Default `false`.
   */
  readonly requireTls?: boolean;
  /** Query parameter that may carry the token. Default: none, because proxies and servers log URLs (G23). */
  readonly queryToken?: string | undefined;

  /** How the server finds out that a connection is dead (P8). */
  readonly heartbeat?: {
    /** How long either side may send nothing before the server sends `ping`. Default `'25s'`. */
    readonly interval?: Duration;
    /** How long the server then waits for a frame of the client. Default `'10s'`. */
    readonly timeout?: Duration;
  };
  /**
   * Shortest time after which a proxy or load balancer on the way cuts an idle connection; `false` if there is none.
   * The heartbeat's interval and timeout together, the longest silence of any transport, must be shorter, or the application does not boot. Default `'1m'`, as
   * nginx and ALB have it.
   */
  readonly proxyIdleTimeout?: Duration | false;
  /** How long a client may take for its first message (P3). Default `'10s'`. */
  readonly helloTimeout?: Duration;
  /** How long one handler may run; the command is then answered with `timeout`. Default `'10s'`. */
  readonly handlerTimeout?: Duration;
  /**
   * Longest time after which the authorization of each subscription is asked again, for what changed without a word (G11); a lease
   * that ends earlier counts. The moment is at random in the second half of it, so that a node's subscriptions are spread. For a
   * hundred thousand subscriptions and `'10m'` that is about 220 calls of authorizations a second. `revoke()` and `reauthorize()` need
   * none of it. A channel may have its own. Default 0: never.
   */
  readonly recheck?: Duration;
  /** When clients reconnect, as `welcome` tells them (P19). */
  readonly retry?: {
    /** Attempt n waits for a random part of `base` × 2ⁿ, which is at most `max`. Default `'500ms'`. */
    readonly base?: Duration;
    /** Maximum of that delay. Default `'20s'`. */
    readonly max?: Duration;
    /** The first attempt after a loss comes at a random moment within this time. Default `'2s'`. */
    readonly firstSpread?: Duration;
    /** How long a connection must last before attempts are counted from zero again. Default `'10s'`. */
    readonly stable?: Duration;
  };

  /** What one client may send, and how many clients may connect. */
  readonly limits?: RealtimeLimits;
  /** What happens to clients that exceed the limits again and again. */
  readonly abuse?: RealtimeAbuseOptions;
  /** When handlers that keep failing are left alone. */
  readonly circuits?: RealtimeCircuitOptions;
  /** Moderation: who is left alone. */
  readonly moderation?: RealtimeModerationOptions;
  /** Bounds of the outbound queue of one connection (G13). */
  readonly outbox?: {
    /** Bytes that may wait. Default 1048576 (1 MiB). */
    readonly maxBytes?: number;
    /** Messages that may wait. Default 4096. */
    readonly maxMessages?: number;
    /**
     * Bytes that may wait for all connections of one user, or of the anonymous clients of one address, on this node. A connection
     * for which less than 64 KiB waits is never affected. Default 16777216 (16 MiB).
     */
    readonly maxBytesPerUser?: number;
    /**
     * Bytes that may wait for all connections of this node, in queues and sockets; what several share is counted once. Above it
     * the fullest connections are closed with 4003; one for which less than 64 KiB waits never is. Raise it with the memory of the
     * node, and where many thousands connect. Default 67108864 (64 MiB).
     */
    readonly maxBytesPerNode?: number;
  };

  /**
   * How long events may wait for others to share a write with; 0 for not at all. Events wait only when they come in
   * faster than they can be written one by one: throughput then grows instead of latency. Waiting and writing together
   * take at most twice this time, as long as the node can keep up. Default `'20ms'`.
   */
  readonly maxFlushDelay?: Duration;

  /**
   * Signs session tickets (P28); the same on every node. Default: random for each process, so clients that reconnect to
   * another node lose their place in the queue and the take-over of their presence, but no events.
   */
  readonly ticketSecret?: string | undefined;
  /**
   * How `app.close()` disconnects the clients (G18). All that the module closes ends within the deadline plus 5 s, whatever answers, so
   * the orchestrator's grace period must be longer than that, and what the application's own shutdown hooks take.
   */
  readonly drain?: {
    /** How long to wait for clients to leave. Default `'10s'`. */
    readonly deadline?: Duration;
    /**
     * Over how much of that time clients are asked to reconnect elsewhere, a few at a time; never more than `deadline`, of which 0.8 are used
     * at most. Until its turn a client is sent events. Default `'5s'`.
     */
    readonly spread?: Duration;
  };

  /**
   * Age at which a connection is asked to come back (`bye` with 4002), up to a fifth earlier at random and a few at a time: clients
   * resume at another node without a loss, and nodes that are new get their share. 0 for never. At most 7 days. Default 0.
   */
  readonly maxConnectionAge?: Duration;
  /**
   * What this node gives up while it is overloaded (G33, P34): fresh connections, then `history`, then the single events of channels
   * of `priority: 'low'`, then presence commands and signals; taken up again in the reverse order. Heartbeats, publishes and
   * clients that come back with a ticket in their request are never refused for it; plain streams have none, and are fresh
   * connections. **On by default**, with thresholds that a node in order does not hold for seconds; `false` switches it off, and
   * nothing is measured then.
   */
  readonly shedding?:
    | false
    | {
        /** Delay of the event loop from which on a node is overloaded: nine in ten turns of a second are late by less. Default `'500ms'`. */
        readonly loopDelay?: Duration;
        /** Percent of the memory from which on it is: of the container's, and of V8's limit of the heap. Default 95. */
        readonly memory?: number;
        /**
         * Bytes that the process may hold (RSS), for `memory`. Default: those of its container (cgroup); without one only the heap
         * counts.
         */
        readonly memoryLimit?: number;
        /** Wait for a turn of the work of a client for whom nothing else waits, from which on it is. Default `'3s'`. */
        readonly queueAge?: Duration;
        /** How long it is overloaded before each step. Default `'3s'`. */
        readonly raiseAfter?: Duration;
        /** How long it is below 0.6 of all thresholds (of the memory, half as much again is free) before each step is undone. Default `'10s'`. */
        readonly lowerAfter?: Duration;
        /** The last step that may be taken. Default `'presence'`: all of them. */
        readonly upTo?: 'connections' | 'history' | 'low' | 'presence';
      };

  /**
   * `permessage-deflate`; `true` for its defaults. Default `false`: it costs CPU, and secrets in compressed frames can
   * be guessed (G24).
   */
  readonly compression?: boolean | CompressionOptions;
  /** Codecs, in order of preference; the first serves clients that ask for none. Default: JSON and MessagePack. */
  readonly codecs?: readonly Codec[];

  /**
   * How long this node stays subscribed at the broker after a channel's last subscriber has left, so that reloading a
   * page needs no round trip to the broker. Default `'5s'`.
   */
  readonly linger?: Duration;
  /** Recent events of a served channel that a node keeps, to join replay with live delivery (G8). Default 256. */
  readonly ringSize?: number;
  /** Bytes of these events of one channel; the newest is kept in any case. Default 262144 (256 KiB). */
  readonly ringBytes?: number;
  /** Bytes of these events of all channels; above it the channel that had no event for longest keeps only its newest. Default 67108864 (64 MiB). */
  readonly ringBytesPerNode?: number;
  /** How long the members of a node that died stay listed (G19). Default `'30s'`. */
  readonly presenceLease?: Duration;
  /**
   * What is recorded of administrative acts, for `realtime.audit`. Without it the newest acts are kept in the memory of this process,
   * and nothing of what clients are refused.
   */
  readonly audit?: {
    /**
     * Where entries go: `logSink()`, `memorySink()` and `redisSink()` of `nestjs-realtime/audit`, or one of your own. Lists come from
     * the first that can be read. Default: a `memorySink()`.
     */
    readonly sinks?: readonly AuditSink[];
    /**
     * Refusals of clients in a minute that have an entry each: by an authorization (`forbidden`), and when they connect; five of
     * one client at most. Of the others one entry has the number. 0 for none. Default 60.
     */
    readonly refusalsPerMinute?: number;
    /** Entries that wait for one sink; what clients cause may fill half. Further ones are lost, and counted. Default 10000. */
    readonly maxQueued?: number;
    /** Bytes of them. Default 8388608 (8 MiB). */
    readonly maxQueuedBytes?: number;
    /** How long a sink may take for one entry, which is then written again. Default `'10s'`. */
    readonly writeTimeout?: Duration;
  };
  /**
   * Calls providers and other servers when a channel gets its first subscriber or loses its last, when a member joins or leaves, and
   * when a notice finds its user offline: `realtimeHooks()` of `nestjs-realtime/hooks`. Default: none, which costs nothing.
   */
  readonly hooks?: RealtimeHooks;
  /**
   * Records of the application's own topics that become events of channels, each once: `fromKafka()` of `nestjs-realtime/kafka`,
   * `fromJetStream()` of `nestjs-realtime/nats`, `fromRedisStreams()` of `nestjs-realtime/redis`. They begin to read when the
   * application has started, and end before its clients are disconnected. Default: none.
   */
  readonly consumers?: readonly RealtimeConsumer[];
  /**
   * Objects that are notified of what happens, for metrics and tracing; the type `Observer` is in `nestjs-realtime/audit`. Their
   * methods are called on the hot path, synchronously. Default: none, which costs nothing.
   */
  readonly observers?: readonly Observer[];
  /**
   * Traces connections, commands, publishes and deliveries: `openTelemetry()` of `nestjs-realtime/tracing`. Default: nothing is traced,
   * which costs nothing.
   */
  readonly tracing?: RealtimeTracing;
  /** Name of this node in tickets, receipts and logs. Default: random. */
  readonly nodeId?: string | undefined;
  /** Producer name of what the application itself publishes (P15). Default `'application'`. */
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
  /** Called once, before the module starts. An error ends the start. */
  createRealtimeOptions(): MaybePromise<RealtimeModuleOptions>;
}
