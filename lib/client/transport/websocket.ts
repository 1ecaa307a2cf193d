import type { Encoded } from '../../protocol/codecs/codec.js';
import type { OpenTransport, Transport, TransportEvents } from './transport.js';
import type { WebSocketConstructor, WebSocketLike } from './websocket-types.js';

/** Codes that `WebSocket.close()` takes from a page; everything else throws there. */
const isSendableCode = (code: number): boolean => code === 1000 || (code >= 3000 && code <= 4999);

/** Opens WebSockets to `url`. */
export function webSocketTransport(
  Socket: WebSocketConstructor,
  url: string,
  options: Record<string, unknown> | undefined,
): OpenTransport {
  return (protocols, events) => {
    const list = [...protocols];
    return new WebSocketTransport(
      options === undefined ? new Socket(url, list) : new Socket(url, list, options),
      events,
    );
  };
}

class WebSocketTransport implements Transport {
  private open = false;

  constructor(
    private readonly socket: WebSocketLike,
    events: TransportEvents,
  ) {
    // Blobs are read asynchronously, which would lose the order of the frames.
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      this.open = true;
      events.opened(socket.protocol);
    };
    socket.onmessage = (event: { data: unknown }) => {
      const frame = frameOf(event.data);
      if (frame !== undefined) events.frame(frame);
    };
    socket.onclose = (event: { code: number; reason: unknown }) => {
      this.open = false;
      events.closed(event.code, typeof event.reason === 'string' ? event.reason : '');
    };
    // The close follows and says as much as a page may know. The listener stays: `ws` would throw without one.
    socket.onerror = () => undefined;
  }

  send(frame: Encoded): void {
    if (this.open) this.socket.send(frame as string | Uint8Array<ArrayBuffer>);
  }

  close(code: number, reason: string): void {
    this.open = false;
    try {
      if (isSendableCode(code)) this.socket.close(code, reason);
      else this.socket.close();
    } catch {
      // Some implementations throw while connecting; they still end.
    }
  }
}

function frameOf(data: unknown): Encoded | undefined {
  if (typeof data === 'string') return data;
  if (data instanceof Uint8Array) return data;
  // Not `instanceof ArrayBuffer`: a buffer of another realm (a frame, a test environment) is none.
  if (Object.prototype.toString.call(data) === '[object ArrayBuffer]') {
    return new Uint8Array(data as ArrayBuffer);
  }
  return undefined;
}
