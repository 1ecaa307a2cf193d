/**
 * As much of a WebSocket as the client uses: the browser's, the one of workers, Node ≥ 22, Deno and Bun, and
 * the class of the package `ws` all fit.
 */
export interface WebSocketLike {
  /** How binary frames come; the client sets it to `arraybuffer`. */
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

/**
 * The given class, or the platform's own.
 *
 * @throws TypeError when there is neither, naming the remedy.
 */
export function webSocketClass(given: WebSocketConstructor | undefined): WebSocketConstructor {
  const own = (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  const chosen = given ?? own;
  if (chosen !== undefined) return chosen;
  throw new TypeError(
    'This platform has no WebSocket (Node has one from version 22 on). Install the package "ws" and pass its class: ' +
      'import { WebSocket } from "ws"; new RealtimeClient(url, { webSocket: WebSocket }).',
  );
}
