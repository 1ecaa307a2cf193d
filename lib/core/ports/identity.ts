import type { MaybePromise } from './maybe-promise.js';
import type { Handshake } from './connection.js';

/** The verified user of a connection. `id` is stable and unique; other fields are the application's. */
export interface RealtimeIdentity {
  /** A string: convert a number from a database first. */
  readonly id: string;
  /** Anything else that the authenticator knows of the user, e.g. the claims of the token. */
  readonly [claim: string]: unknown;
}

/**
 * Somebody of the application who looks at channels without being asked about, and without being seen there: no authorization, no
 * presence, no snapshot, no life-cycle hooks. The engine goes by the class, which nothing that comes from a client makes.
 */
export class Overseer implements RealtimeIdentity {
  readonly [claim: string]: unknown;

  /** @param id as a user id. */
  constructor(readonly id: string) {}
}

/**
 * A copy with the same fields and class. The fields' own objects are shared.
 *
 * @param id as it was verified, also where the class computes its own.
 */
export function copyIdentity(user: RealtimeIdentity, id = user.id): RealtimeIdentity {
  const fields = Object.getOwnPropertyDescriptors({ ...user, id });
  return Object.create(Object.getPrototypeOf(user) as object | null, fields) as RealtimeIdentity;
}

/** What an authenticator is asked to verify. */
export interface Credentials {
  /** The token; absent when the client sent none. */
  readonly token?: string;
  /**
   * How the token was sent: with the upgrade (`subprotocol`, `cookie`), in `hello`, or in `auth`; `none` without a token.
   * `subprotocol` includes every way in which a client itself sends a token: the query string, where that is enabled
   * (G23), and the `Authorization` header of the connection probe (P18). Only a `cookie` is added by the browser itself.
   */
  readonly via: 'subprotocol' | 'cookie' | 'hello' | 'auth' | 'none';
  /** Headers, address and URL of the client's handshake. */
  readonly handshake: Handshake;
}

/** Outcome of a successful authentication. */
export interface Authentication {
  /** Left out for an anonymous client. */
  readonly user?: RealtimeIdentity;
  /**
   * When the credential expires, in milliseconds since the Unix epoch (G12). Compared with the wall clock once, when the result
   * arrives; from then on the rest of its life is measured. Default: never.
   */
  readonly expiresAt?: number;
}

/** An authentication with its life on this node. */
export interface Verified {
  /** Left out for an anonymous client. */
  readonly user?: RealtimeIdentity;
  /** When the credential expires, on the monotonic clock of this node; `Infinity` for never. */
  readonly endsAt: number;
}

/** Verifies credentials as an {@link Authenticator} does. */
export interface Verifier {
  authenticate(credentials: Credentials): MaybePromise<Verified>;
}

/**
 * Verifies credentials. Throws a `RealtimeError` (`unauthorized`, `token_expired`, `forbidden`, `banned`) to
 * refuse; any other error refuses with `internal`.
 */
export interface Authenticator {
  /** Called when a client connects, and again with each token that it sends later. */
  authenticate(credentials: Credentials): MaybePromise<Authentication>;
}
