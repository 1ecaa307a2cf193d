import type { ErrorCode } from '../../protocol/error-codes.js';
import type { Credentials, Verified } from './identity.js';
import type { MaybePromise } from './maybe-promise.js';
import type { Connection, ConnectionHandler, Handshake } from './connection.js';
import type { NodeLink } from './node-link.js';

/** A refusal before the upgrade, before a stream, or of a request of a session, as plain HTTP (P18, P20, P21). */
export interface Refusal {
  readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 410 | 413 | 414 | 415 | 426 | 429 | 503;
  readonly message: string;
  /** Distinguishes refusals of one status, e.g. `banned` and `forbidden`. */
  readonly code?: ErrorCode;
  readonly retryAfterMs?: number;
  /** For the log, beside the message: which setting decides, and the remedy. Clients do not get it. */
  readonly hint?: string;
}

/** Advice of a node that drains, and of its transports once they are closed, in milliseconds: another one takes the client as soon as it asks again. */
const DRAIN_RETRY_AFTER_MS = 250;

/** The refusal of a node that is leaving. */
export const LEAVING: Refusal = {
  status: 503,
  message: 'This node is not taking connections',
  retryAfterMs: DRAIN_RETRY_AFTER_MS,
};

/** What a transport has verified before it opens a connection. */
export interface Opening {
  /** Result of the credentials of the handshake; left out when `hello` must bring them. */
  readonly authentication?: Verified;
  /** The token behind `authentication`, shown to guards as `headers.authorization`. Never logged (G23). */
  readonly token?: string;
}

/** A client that has sent what cannot run yet. */
export interface UnfinishedSender {
  /** As of its handshake. */
  readonly network: string;
  /** Whom limits over several connections count: the user, or the address of an anonymous client. */
  readonly client: string;
  /** Ends the connection and frees what it sent: others need the memory. */
  shed(): void;
}

/** What all clients of a node have sent that cannot run yet, bounded over all of them (G16). */
export interface UnfinishedBytes {
  /** So many bytes of a client are here; 0 when they can run, or its connection has ended. May shed this client, or others. */
  note(sender: UnfinishedSender, bytes: number): void;
}

/** What the engine is to a transport. */
export interface TransportHost {
  /** Name of this node in the cluster. */
  readonly nodeId: string;
  /** Bound of one frame in bytes, which a transport enforces before it buffers (G24). */
  readonly maxFrameBytes: number;
  /** Bound of the first frame of a connection, in bytes: for a client that is not known yet the engine takes one message, and no more (P3c). */
  readonly maxFirstBytes: number;
  /**
   * Frames of any kind that one connection may send: a second, and at once. What a transport counts as a frame is what costs it
   * work: fragments, pings, pongs, empty frames. It reports what exceeds them by `onExcess` of the handler (G16).
   */
  readonly frames: {
    readonly perSecond: number;
    readonly burst: number;
    /** As how many a ping or pong of WebSocket counts: each costs a write, or a call, and no client needs many. */
    readonly control: number;
  };
  /** Where a transport notes the bytes of messages that have begun and not ended, and of what it put back (G16). */
  readonly unfinished: UnfinishedBytes;
  /** Where a transport notes what answers hold that other nodes made, until their clients have read them (G13). */
  readonly relayed: UnfinishedBytes;
  /** The {@link Handshake.network} of an address. */
  networkOf(ip: string): string;
  /** Asks whether a new connection may be opened now: drain, capacity. `undefined` admits it (P18). */
  admit(handshake: Handshake): Refusal | undefined;
  /**
   * Asks for the turn of an admitted connection: among those of its address, whose rate is bounded, among those of this node, and of the event loop, so that
   * the connections of many clients that come at once keep nobody else from being served. Until then it waits.
   *
   * @param bytes of the request, which are kept while it waits.
   * @param ticket of the session that it continues, where the request brought one: it decides whose turn it is, and nothing else.
   * @returns `undefined` where it is its turn; a refusal where that would take too long.
   */
  enter(handshake: Handshake, bytes: number, ticket?: string): MaybePromise<Refusal | undefined>;
  /**
   * The same for a request that opens no connection, and does not wait: a refusal where it would have to, for the rate of its
   * address or because the node is busy.
   */
  enterAtOnce(sender: Pick<Handshake, 'network'>): Refusal | undefined;
  /** The client is gone that waits for its turn or to be verified: what waits of it is given up. */
  leave(handshake: Handshake): void;
  /**
   * Verifies the credentials of a handshake.
   *
   * @throws RealtimeError that `refusalOf` turns into the refusal.
   */
  authenticate(credentials: Credentials): MaybePromise<Verified>;
  /** Notifies the host of a client that was refused before it opened, whoever refused it. @param ip address of the client. */
  onRefused(refusal: Refusal, ip: string): void;
  /** Notifies the host of a request of an open session that was refused, with this HTTP status. @param ip address of the client. */
  onRequestRefused(status: number, ip: string): void;
  /**
   * Calls back when events were erased, with their places in the log of one channel, after {@link Connection.onErased} of each
   * connection: what a transport keeps beside them must not be sent where it may have one of them. It must not call the host back.
   */
  onErased(listener: (seqs: readonly number[]) => void): void;
  /** Makes the session of a connection. The transport may hand in frames at once. */
  open(connection: Connection, opening: Opening): ConnectionHandler;
  /** The way to the other nodes, for requests of connections that they hold; `undefined` where the broker knows none. */
  readonly nodes: NodeLink | undefined;
}
