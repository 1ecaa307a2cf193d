import type { ErrorCode } from '../../protocol/error-codes.js';
import type { Credentials, Verified } from './identity.js';
import type { MaybePromise } from './maybe-promise.js';
import type { Connection, ConnectionHandler, Handshake } from './connection.js';

/** A refusal before the upgrade, as plain HTTP (P18). */
export interface Refusal {
  readonly status: 400 | 401 | 403 | 404 | 413 | 426 | 429 | 503;
  readonly message: string;
  /** Distinguishes refusals of one status, e.g. `banned` and `forbidden`. */
  readonly code?: ErrorCode;
  readonly retryAfterMs?: number;
}

/** What a transport has verified before it opens a connection. */
export interface Opening {
  /** Result of the credentials of the handshake; left out when `hello` must bring them. */
  readonly authentication?: Verified;
  /** The token behind `authentication`, shown to guards as `headers.authorization`. Never logged (G23). */
  readonly token?: string;
}

/** What the engine is to a transport. */
export interface TransportHost {
  /** Name of this node in the cluster. */
  readonly nodeId: string;
  /** Bound of one frame in bytes, which a transport enforces before it buffers (G24). */
  readonly maxFrameBytes: number;
  /**
   * Frames of any kind that one connection may send: a second, and at once. What a transport counts as a frame is what costs it
   * work: fragments, pings, pongs, empty frames. It reports what exceeds them by `onExcess` of the handler (G16).
   */
  readonly frames: { readonly perSecond: number; readonly burst: number };
  /**
   * Bytes of messages that have begun and not ended, of all connections of a transport together. Where they are more, the
   * transport ends connections and reports each by {@link onShed} (G16).
   */
  readonly maxUnfinishedBytes: number;
  /** Asks whether a new connection may be opened now: drain, bans, capacity. `undefined` admits it (P18). */
  admit(handshake: Handshake): Refusal | undefined;
  /**
   * Verifies the credentials of a handshake.
   *
   * @throws RealtimeError that `refusalOf` turns into the refusal.
   */
  authenticate(credentials: Credentials): MaybePromise<Verified>;
  /** Notifies the host of a client that was refused before it opened, whoever refused it. @param ip address of the client. */
  onRefused(refusal: Refusal, ip: string): void;
  /** Notifies the host of a connection that was ended to free memory. @param ip address of the client. */
  onShed(ip: string): void;
  /** Makes the session of a connection. The transport may hand in frames at once. */
  open(connection: Connection, opening: Opening): ConnectionHandler;
  /** The node that holds a connection, by the connection's id; `undefined` when it is not known here. */
  locate(connectionId: string): string | undefined;
}
