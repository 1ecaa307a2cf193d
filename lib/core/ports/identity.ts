import type { MaybePromise } from './maybe-promise.js';
import type { Handshake } from './connection.js';

/** Who a connection belongs to, as verified. `id` is stable and unique; the rest is the application's. */
export interface RealtimeIdentity {
  /** As text: a number from a database is converted first. */
  readonly id: string;
  /** Anything else that the authenticator knows of the user, e.g. the claims of the token. */
  readonly [claim: string]: unknown;
}

/** What an authenticator is asked to verify. */
export interface Credentials {
  /** The token; absent when the client sent none. */
  readonly token?: string;
  /**
   * How the token came: with the upgrade (`subprotocol`, `cookie`), in `hello`, or in `auth`; `none` without a token.
   * `subprotocol` is every way in which a client hands over a token of its own: the query string, where that is switched
   * on (G23), and the `Authorization` header of the connection probe (P18) count as it too. `cookie` alone is what a
   * browser adds by itself.
   */
  readonly via: 'subprotocol' | 'cookie' | 'hello' | 'auth' | 'none';
  /** Headers, address and URL that the client came with. */
  readonly handshake: Handshake;
}

/** Outcome of a successful authentication. */
export interface Authentication {
  /** Left out for an anonymous client. */
  readonly user?: RealtimeIdentity;
  /** When the credential ends, in milliseconds since the Unix epoch (G12). */
  readonly expiresAt?: number;
}

/**
 * Verifies credentials. Throws a `RealtimeError` (`unauthorized`, `token_expired`, `forbidden`, `banned`) to
 * refuse; anything else thrown counts as `internal` and refuses too.
 */
export interface Authenticator {
  /** Called when a client connects, and again with each token that it sends later. */
  authenticate(credentials: Credentials): MaybePromise<Authentication>;
}
