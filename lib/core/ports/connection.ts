import type { IncomingHttpHeaders } from 'node:http';
import type { CloseName } from '../../protocol/close-codes.js';
import type { Codec, Encoded } from '../../protocol/codecs/codec.js';
import type { Envelope } from '../../protocol/envelope.js';
import type { Position } from '../../protocol/position.js';

/** What a transport knows of a client before its first frame. */
export interface Handshake {
  /**
   * How the client talks to the server: `sse` and `polling` are sessions over HTTP (P21), as its client library names them too; `feed`
   * is a plain stream, which nothing comes back by (P20).
   */
  readonly transport: 'websocket' | 'sse' | 'polling' | 'feed';
  readonly headers: IncomingHttpHeaders;
  /** Path and query of the request. */
  readonly url: string;
  /** Address of the client, as the trusted proxies report it. */
  readonly ip: string;
  /**
   * What limits and bans of addresses know the client by: its address, of IPv6 the network that it belongs to
   * (`limits.ipv6Prefix`).
   */
  readonly network: string;
  /** Whether the connection came over TLS, as far as this process or a trusted proxy knows. */
  readonly secure: boolean;
}

/** One envelope in a frame of its own. */
export interface FramedEnvelope {
  readonly frame: Buffer;
  /** The envelope's bytes, as they lie in the frame. */
  readonly bytes: Buffer;
}

/**
 * One way of turning envelopes into bytes on the wire: codec, transport, and whether frames are compressed. All connections
 * of a variant are sent the same bytes, so an event is encoded and framed once per variant (P22). A transport makes each once
 * and gives the same object to all its connections: what is kept of an event is found by it.
 */
export interface WireVariant {
  readonly codec: Codec;
  /** Wraps the bytes of envelopes into one frame of the transport. Never modifies its input. */
  frame(envelopes: readonly Buffer[]): Buffer;
  /**
   * Frames one envelope that was not encoded before: the bytes that the log keeps lie in the frame, and are not copied. Left
   * out where a frame does not hold the envelopes as they are, e.g. a compressed one.
   */
  readonly frameOne?: ((encoded: Encoded) => FramedEnvelope) | undefined;
}

/** What a transport gives the engine for one client. */
export interface Connection {
  readonly handshake: Handshake;
  readonly variant: WireVariant;
  /** Whether the client cannot answer: the engine sends it no `ping`, and its silence proves nothing. Default `false`. */
  readonly oneWay?: boolean;
  /**
   * What this client is sent in the place of a message that is its own, before it is encoded; `undefined` for nothing. Messages that
   * clients share (events, gaps, signals) do not come here. It must not call the engine back. Default: the message.
   */
  translate?(envelope: Envelope): Envelope | undefined;
  /**
   * Wraps what is written next, envelopes of this client's queue, into one frame. Unlike {@link translate} it sees what is written
   * only, in that order; what was queued may be overtaken or taken back. It must not call the engine back. Default: as the variant
   * does.
   */
  frame?(envelopes: readonly Buffer[]): Buffer;
  /**
   * Called before the engine ends the connection, with everything written that still will be, and before it takes one of its channels
   * away: the last moment at which `positions` of its handler has them.
   */
  onEnding?(): void;
  /**
   * Called when the engine takes back, or puts aside, what it has for this client of one of its channels: the client lost access, or
   * may have. What a transport keeps to send it again must not be sent again. It must not call the engine back.
   */
  onWithdrawn?(): void;
  /**
   * Called when events were erased: what a transport keeps to send it later, or again, must not be sent where it may have one of them.
   * It must not call the engine back.
   *
   * @param seqs their places, in the log of one channel.
   */
  onErased?(seqs: readonly number[]): void;
  /**
   * Hands one frame to the socket. `false` when the socket buffers bytes: nothing is lost, but the next frame should
   * wait for `onDrain`. A write on a closed connection is ignored.
   */
  write(frame: Buffer): boolean;
  /** Whether the socket makes a copy of what it holds back, as TLS does, instead of keeping the frame. Default `false`. */
  readonly copiesFrames?: boolean;
  /** Bytes of written frames that have not left the process. */
  readonly bufferedBytes: number;
  /** Stops reading from the client; `resume` starts it again. */
  pause(): void;
  resume(): void;
  /** Ends the connection with a close code and reason (protocol §7); `onClose` follows. */
  close(code: number, reason: string): void;
  /** Ends the connection without a closing handshake; `onClose` follows. */
  terminate(): void;
}

/** The close code of a connection that ended without one (RFC 6455 §7.1.5). */
export const ABNORMAL = 1006;

/** What became of a frame. */
export type FrameVerdict =
  /** `paused`: it was taken, and no more should be read before the engine calls `resume` of the connection (G16). */
  | { readonly outcome: 'accepted' | 'paused' }
  /** The connection is closed, by this frame or before it, with this code (protocol §7). */
  | { readonly outcome: 'refused'; readonly code: number };

/** Verdicts of nearly all frames, which cost no object each. */
export const ACCEPTED: FrameVerdict = { outcome: 'accepted' };
export const PAUSED: FrameVerdict = { outcome: 'paused' };

/** What the engine gives a transport for one client. */
export interface ConnectionHandler {
  /** Names the client over its connections: the user, or the address of one that is not verified. */
  readonly client: string;
  /**
   * Takes one frame of the client.
   *
   * @param size bytes of the frame, where the transport knows them already.
   */
  onFrame(frame: Encoded, size?: number): FrameVerdict;
  /**
   * Where the client stands in its channels once it has read all frames that were written: a subscribe from there continues
   * without a loss, and may repeat events. A channel is left out while something that waits for the client decides where it
   * stands, e.g. the answer of its subscribe; an earlier position of it is then still true. Not to be called from `write`.
   */
  positions(): ReadonlyMap<string, Position>;
  /**
   * Called when more frames came than {@link TransportHost.frames} allows, whether or not they became messages. The engine pauses
   * reading, or ends the connection (G16).
   *
   * @param waitMs until they are paid, in milliseconds; `Infinity` when they are too many to wait for.
   */
  onExcess(waitMs: number): void;
  /**
   * Called when part of a large message came, whose rest is still to come: the engine may pause reading until this client has its turn
   * (G16).
   */
  onPart(): void;
  /**
   * Called when much came at once, before any of it is parsed (G16).
   *
   * @param bytes that came.
   * @param read called when this client has its turn.
   * @returns whether it must wait for that, as others are kept waiting: `read` is called then, once, also where the session has ended.
   */
  onMuch(bytes: number, read: () => void): boolean;
  /**
   * Called before bytes are sent once more that the client was sent already: they are charged as an answer (G16).
   *
   * @param isRefusable whether a client that owes for its answers has to wait.
   * @returns milliseconds until they may be sent, which are not charged then; 0 where they may be sent now.
   */
  onRepeat(bytes: number, isRefusable: boolean): number;
  /** Called when the socket can take more bytes. */
  onDrain(): void;
  /** Called when the connection is closed, by either side. @param code As on the wire, {@link ABNORMAL} when there was none. */
  onClose(code: number): void;
}

/** A session, as the parts of the engine know it that may end it. */
export interface ClosableSession {
  /**
   * Ends it with the close code of that name (protocol §7).
   *
   * @param retryAfterMs Advice when to reconnect, in milliseconds. Default 0.
   */
  close(name: CloseName, retryAfterMs?: number): void;
}
