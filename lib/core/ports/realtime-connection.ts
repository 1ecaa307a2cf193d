import type { IncomingHttpHeaders } from 'node:http';
import type { Handshake } from './connection.js';
import type { LogSubject } from './logger.js';
import { copyIdentity, type RealtimeIdentity } from './identity.js';

const NOT_READ = Symbol('not read');

/** The session of a connection, as far as the application reaches it. */
interface ConnectionSession {
  readonly user?: RealtimeIdentity | undefined;
  /** Id of the user as it was verified. */
  readonly userId?: string | undefined;
  /** Names the session through all its connections; `''` before `welcome`. */
  readonly lineage?: string;
  close(name: 'kicked'): void;
}

/**
 * The connection as guards, pipes and handlers see it. It looks like an HTTP request where that helps:
 * `headers`, `url`, `ip` of the handshake and a settable `user`, so a JWT guard written for HTTP runs unchanged.
 * `headers.authorization` is the current token, which a browser cannot send itself.
 *
 * @example
 * onConnect(connection: RealtimeConnection) {
 *   connection.data.tenant = tenantOf(connection.headers.host);
 * }
 */
export class RealtimeConnection {
  /** Made by the server, unique; a reconnect has another one. */
  readonly id: string;
  /** How the client is connected, e.g. `'websocket'`. */
  readonly transport: Handshake['transport'];
  /** Path and query of the handshake, without a token that came in the query (G23). */
  readonly url: string;
  /** Address of the client, as the proxies that `trustProxy` names report it. */
  readonly ip: string;
  /** Whether the client used TLS, to this server or to a trusted proxy. */
  readonly secure: boolean;
  // Made at the first read: most connections have no guard that reads headers or changes the user, and no data.
  #user: RealtimeIdentity | typeof NOT_READ | undefined;
  #headers: IncomingHttpHeaders | undefined;
  #data: Record<string, unknown> | undefined;
  #token: string | undefined;
  readonly #handshake: Handshake;
  readonly #session: ConnectionSession;

  constructor(id: string, handshake: Handshake, session: ConnectionSession) {
    this.#session = session;
    this.id = id;
    this.transport = handshake.transport;
    this.url = handshake.url;
    this.ip = handshake.ip;
    this.secure = handshake.secure;
    this.#handshake = handshake;
  }

  /**
   * A copy of what the engine verified, until a guard changes it or sets something else. What that is changes nothing of who the
   * user is to the engine, nor of the authenticator's own object. Objects inside it are shared.
   */
  get user(): RealtimeIdentity | undefined {
    if (this.#user === NOT_READ) {
      const { user } = this.#session;
      this.#user = user && copyIdentity(user);
    }
    return this.#user;
  }

  set user(user: RealtimeIdentity | undefined) {
    this.#user = user;
  }

  /** Headers of the handshake, names in lower case, and `authorization` with the current token. */
  get headers(): IncomingHttpHeaders {
    // A copy: the added `authorization` must not leak into the request that other listeners of the upgrade see.
    return (this.#headers ??= {
      ...this.#handshake.headers,
      ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
    });
  }

  /** As on an Express request: the same as {@link url}. */
  get originalUrl(): string {
    return this.url;
  }

  /** As on an HTTP request: that of the handshake, always `'GET'`. */
  get method(): string {
    return 'GET';
  }

  /** As on an Express request: one of the {@link headers}, by a name in any case. */
  get(name: string): string | readonly string[] | undefined {
    return this.headers[name.toLowerCase()];
  }

  /** The application's own state of this connection. */
  get data(): Record<string, unknown> {
    return (this.#data ??= {});
  }

  /** Ends the connection with 4811 `kicked`. */
  disconnect(): void {
    this.#session.close('kicked');
  }

  /** @internal What a line of the log says of the connection that it is about. */
  get about(): LogSubject {
    const { userId, lineage = '' } = this.#session;
    return {
      connection: this.id,
      ...(lineage === '' ? {} : { session: lineage }),
      ...(userId === undefined ? {} : { user: userId }),
    };
  }

  /** @internal The user was verified, or verified again. */
  verified(): void {
    this.#user = NOT_READ;
  }

  /** @internal Sets the token that `headers.authorization` shows: of the handshake, of `hello`, and of each `auth`. */
  setToken(token: string): void {
    this.#token = token;
    if (this.#headers !== undefined) this.#headers.authorization = `Bearer ${token}`;
  }
}

/** Notified of each connection once at its `welcome`, and once at its end. */
export interface ConnectionListener {
  opened(connection: RealtimeConnection): void;
  closed(connection: RealtimeConnection, code: number): void;
}
