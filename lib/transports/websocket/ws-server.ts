import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { readSubprotocols, selectCodec } from '../../protocol/subprotocol.js';
import type { WebSocketSettings } from './options.js';
import { WireSocket } from './wire-socket.js';

/** ws keeps 32-bit sizes, where a larger one would wrap round to "no limit". */
const MAX_FRAME_BYTES = 2 ** 31 - 1;

/** ws's server, which does no more than the handshake of RFC 6455 §4.2.2. */
export interface WsServer {
  /** Reports what ws refuses by itself, e.g. a malformed offer of an extension; the socket is still to be answered. */
  on(event: 'wsClientError', listener: (error: Error, socket: Duplex, req: IncomingMessage) => void): unknown;
  handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    opened: (socket: WireSocket) => void,
  ): void;
  close(): void;
}

/**
 * @param maxFrameBytes Bound of one client message, before and after inflating (G24).
 * @throws RangeError when the bound is none.
 */
export function createWsServer(
  maxFrameBytes: number,
  { codecs, compression }: Pick<WebSocketSettings, 'codecs' | 'compression'>,
): WsServer {
  if (!Number.isInteger(maxFrameBytes) || maxFrameBytes < 1 || maxFrameBytes > MAX_FRAME_BYTES) {
    throw new RangeError(
      `limits.maxFrameBytes: ${maxFrameBytes} is not an integer from 1 to ${MAX_FRAME_BYTES}`,
    );
  }
  // A message in one-byte pieces costs a hundred times its size, so their number is bound to the size (ws 8.21,
  // CVE-2026-42786).
  const maxParts = Math.max(1_024, Math.ceil(maxFrameBytes / 64));
  return new WebSocketServer({
    noServer: true,
    clientTracking: false,
    // A subclass of ws's own, whose declared part is smaller.
    WebSocket: WireSocket as unknown as typeof WebSocket & typeof WireSocket,
    maxPayload: maxFrameBytes,
    maxFragments: maxParts,
    maxBufferedChunks: maxParts,
    // No context is carried from message to message: the server's frames could not be shared otherwise, and a client's
    // window would stay in memory. ws applies `maxPayload` to the inflated size (G24).
    perMessageDeflate: compression !== undefined && {
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
      threshold: compression.threshold,
      concurrencyLimit: compression.concurrency,
    },
    autoPong: true,
    skipUTF8Validation: false,
    // Never the entries that carry credentials (P2).
    handleProtocols: (offered) => {
      const selection = selectCodec(readSubprotocols(offered), codecs);
      return 'echo' in selection && selection.echo !== undefined ? selection.echo : false;
    },
  });
}
