import type { Encoded } from '../../protocol/codecs/codec.js';

/** What a transport tells its connection. Nothing follows `closed`. */
export interface TransportEvents {
  /** The way is open. `protocol` is the subprotocol that the server chose, '' for none. */
  opened(protocol: string): void;
  frame(frame: Encoded): void;
  /** Exactly once, also when it never opened (then usually 1006). */
  closed(code: number, reason: string): void;
}

/** One physical way to the server; it is used once and never reopened. */
export interface Transport {
  /** Sends one frame; what is sent after the end is dropped. */
  send(frame: Encoded): void;
  /** Asks for an orderly end; `closed` follows when the peer, or the system, agrees. */
  close(code: number, reason: string): void;
}

/** Opens a transport: the seam for others than WebSocket, and for tests. */
export type OpenTransport = (protocols: readonly string[], events: TransportEvents) => Transport;
