import type { Encoded } from '../../protocol/codecs/codec.js';
import { recordOf, stringOf } from '../received.js';

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
  /** Called at the end, with the event's `code` and `reason`. */
  onclose: ((event: never) => void) | null;
  /** Called when the connection failed, with the event's `message` where there is one. Some classes never call `onclose` then. */
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
  /**
   * Called exactly once, also when the transport never opened (then usually with 1006).
   *
   * @param failure Why, in words, where the platform said so.
   */
  closed(code: number, reason: string, failure?: string): void;
}

/** One physical connection to the server, which is never reopened. */
export interface Transport {
  /** Sends one frame; after the end frames are dropped. */
  send(frame: Encoded): void;
  /** Asks for an orderly end with 1000 or 3000–4999, as a page may; `closed` follows when the peer, or the system, agrees. */
  close(code: number, reason: string): void;
}

/**
 * Opens a transport to `url`: the seam for others than WebSocket.
 *
 * @throws Error when the platform cannot open one at all: the next attempt would fail alike.
 */
export type OpenTransport = (url: string, protocols: readonly string[], events: TransportEvents) => Transport;

/** Gives what opens WebSockets. The platform's class is looked up when the first one is opened. */
export function webSocketOpener(options: {
  readonly webSocket?: WebSocketConstructor;
  readonly webSocketOptions?: Record<string, unknown>;
}): OpenTransport {
  return (url, protocols, events) => {
    const { webSocketOptions } = options;
    const Socket = options.webSocket ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
    if (Socket === undefined) {
      throw new TypeError(
        'There is no WebSocket here: pass one, e.g. of the package "ws": new RealtimeClient(url, { webSocket: WebSocket })',
      );
    }
    const list = [...protocols];
    return new ClientWebSocket(
      webSocketOptions === undefined ? new Socket(url, list) : new Socket(url, list, webSocketOptions),
      events,
    );
  };
}

class ClientWebSocket implements Transport {
  private open = false;
  private ended = false;

  constructor(
    private readonly socket: WebSocketLike,
    private readonly events: TransportEvents,
  ) {
    // Blobs are read asynchronously, which would lose the order of the frames.
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      if (this.ended) return;
      this.open = true;
      events.opened(socket.protocol);
    };
    socket.onmessage = (event: { data: unknown }) => {
      const frame = frameOf(event.data);
      if (frame !== undefined && !this.ended) events.frame(frame);
    };
    socket.onclose = ({ code, reason }: { code?: number; reason?: unknown }) =>
      this.end(code ?? 1006, stringOf(reason) ?? '');
    // Node's own class fires no `close` for a connection that failed, nor do pages where a policy forbade it.
    socket.onerror = (event: unknown) => {
      this.end(1006, '', stringOf(recordOf(event)['message']) || undefined);
      this.close(1000, '');
    };
  }

  send(frame: Encoded): void {
    if (this.open) this.socket.send(frame as string | Uint8Array<ArrayBuffer>);
  }

  close(code: number, reason: string): void {
    this.open = false;
    try {
      this.socket.close(code, reason);
    } catch {
      // Some implementations throw while connecting; they still end.
    }
  }

  private end(code: number, reason: string, failure?: string): void {
    if (this.ended) return;
    this.ended = true;
    this.open = false;
    this.events.closed(code, reason, failure);
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

/** Whether the URL names a scheme, and so needs no page to be relative to. */
export function isAbsolute(url: string): boolean {
  return /^[a-z][\w+.-]*:/i.test(url);
}

/**
 * Both URLs of the server's path, from any of the four schemes. In a page, and in its workers, the URL may be relative.
 *
 * @throws TypeError when it is not such a URL.
 * @example endpointsOf('https://example.com/realtime').socket // 'wss://example.com/realtime'
 */
export function endpointsOf(url: string): Endpoints {
  // Not taken apart by `URL`: that of React Native throws for most of its fields. A fragment never reaches a server, and
  // a WebSocket refuses it.
  const whole = isAbsolute(url) ? url : resolved(url);
  const [, secure, rest] = /^(?:http|ws)(s?):(\/\/[^/?#]+[^#]*)/i.exec(whole) ?? [];
  if (secure === undefined || rest === undefined) {
    throw new TypeError(
      `"${url}" is no address of a server: use http, https, ws or wss, e.g. https://example.com/realtime (in a page a path, too)`,
    );
  }
  const s = secure.toLowerCase();
  return { socket: `ws${s}:${rest}`, http: `http${s}:${rest}` };
}

function resolved(url: string): string {
  const { href = '' } = (globalThis as { location?: { href?: string } }).location ?? {};
  try {
    // A worker that was made of a blob has the page's origin behind `blob:`.
    return new URL(url, href.replace(/^blob:/, '')).href;
  } catch {
    return url;
  }
}
