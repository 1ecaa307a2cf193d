import type { Encoded } from '../../protocol/codecs/codec.js';

/**
 * The part of a WebSocket that the client uses: the browser's, that of workers, Node ≥ 22, Deno and Bun, and the class of
 * the package `ws` all fit.
 */
export interface WebSocketLike {
  /** How binary frames arrive; the client sets it to `arraybuffer`. */
  binaryType: string;
  /** The subprotocol that the server chose, which names the codec (P1); `''` for none. */
  readonly protocol: string;
  /** Called once the connection is open. */
  onopen: ((event: never) => void) | null;
  /** Called with each frame, as the event's `data`: a string, or an `ArrayBuffer`. */
  onmessage: ((event: never) => void) | null;
  /** Called once at the end, also of a connection that never opened, with the event's `code` and `reason`. */
  onclose: ((event: never) => void) | null;
  /** Called when something failed; `onclose` follows. */
  onerror: ((event: never) => void) | null;
  /** Sends one frame: a text frame for a string, else a binary one. */
  send(data: string | Uint8Array<ArrayBuffer>): void;
  /** Begins to close: `code` 1000 or 3000–4999, `reason` of at most 123 bytes. */
  close(code?: number, reason?: string): void;
}

/**
 * A WebSocket class. The third argument is passed only when `webSocketOptions` is set; the browser's class has
 * none, that of `ws` takes e.g. `{ headers: { cookie } }`.
 */
export type WebSocketConstructor = new (
  url: string,
  protocols: string[],
  options?: Record<string, unknown>,
) => WebSocketLike;

/** What a transport reports. Nothing follows `closed`. */
export interface TransportEvents {
  /** `protocol` is the subprotocol that the server chose, '' for none. */
  opened(protocol: string): void;
  frame(frame: Encoded): void;
  /** Called exactly once, also when the transport never opened (then usually with 1006). */
  closed(code: number, reason: string): void;
}

/** One physical connection to the server, which is never reopened. */
export interface Transport {
  /** Sends one frame; after the end frames are dropped. */
  send(frame: Encoded): void;
  /** Asks for an orderly end; `closed` follows when the peer, or the system, agrees. */
  close(code: number, reason: string): void;
}

/** Opens a transport: the seam for others than WebSocket. */
export type OpenTransport = (protocols: readonly string[], events: TransportEvents) => Transport;

/**
 * Gives what opens WebSockets to `url`.
 *
 * @throws TypeError when neither `webSocket` nor the platform gives a WebSocket class.
 */
export function webSocketOpener(
  url: string,
  options: { readonly webSocket?: WebSocketConstructor; readonly webSocketOptions?: Record<string, unknown> },
): OpenTransport {
  const { webSocketOptions } = options;
  const Socket = options.webSocket ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  if (Socket === undefined) {
    throw new TypeError(
      'This platform has no WebSocket (Node has one from version 22 on). Install the package "ws" and pass its class: ' +
        'import { WebSocket } from "ws"; new RealtimeClient(url, { webSocket: WebSocket }).',
    );
  }
  return (protocols, events) => {
    const list = [...protocols];
    return new ClientWebSocket(
      webSocketOptions === undefined ? new Socket(url, list) : new Socket(url, list, webSocketOptions),
      events,
    );
  };
}

class ClientWebSocket implements Transport {
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
    // The close event follows and says as much as a page may know. Without a listener here `ws` would throw.
    socket.onerror = () => undefined;
  }

  send(frame: Encoded): void {
    if (this.open) this.socket.send(frame as string | Uint8Array<ArrayBuffer>);
  }

  close(code: number, reason: string): void {
    this.open = false;
    try {
      // A page may send no other codes; `close` throws for them.
      if (code === 1000 || (code >= 3000 && code <= 4999)) this.socket.close(code, reason);
      else this.socket.close();
    } catch {
      // Some implementations throw while connecting; they still end.
    }
  }
}

function frameOf(data: unknown): Encoded | undefined {
  if (typeof data === 'string' || data instanceof Uint8Array) return data;
  // Not `instanceof ArrayBuffer`, which is false for a buffer of another realm (a frame, a test environment).
  const isBuffer = Object.prototype.toString.call(data) === '[object ArrayBuffer]';
  return isBuffer ? new Uint8Array(data as ArrayBuffer) : undefined;
}

/** The URLs of the server's path: for the WebSocket, and for the question why an upgrade failed (P18). */
export interface Endpoints {
  readonly socket: string;
  readonly http: string;
}

/**
 * Both URLs of the server's path, from any of the four schemes. In a browser the URL may be relative to the page.
 *
 * @throws TypeError when it is not such a URL.
 * @example endpointsOf('https://example.com/realtime').socket // 'wss://example.com/realtime'
 */
export function endpointsOf(url: string): Endpoints {
  const { protocol, href } = parse(url);
  const [, secure] = /^(?:http|ws)(s?):$/.exec(protocol) ?? [];
  if (secure === undefined) {
    throw new TypeError(
      `The URL "${url}" has the scheme "${protocol}". Use http, https, ws or wss, e.g. https://example.com/realtime.`,
    );
  }
  // A fragment never reaches a server, and a WebSocket refuses it.
  const rest = href.slice(protocol.length).replace(/#.*$/, '');
  return { socket: `ws${secure}:${rest}`, http: `http${secure}:${rest}` };
}

function parse(url: string): URL {
  const page = (globalThis as { location?: { href?: string } }).location?.href;
  try {
    return new URL(url, page);
  } catch (cause) {
    throw new TypeError(
      `"${url}" is not a URL. Give the whole address of the realtime path, e.g. https://example.com/realtime` +
        ' (in a page a path such as "/realtime" will do).',
      { cause },
    );
  }
}
