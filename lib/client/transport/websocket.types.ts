/**
 * As much of a WebSocket as the client uses: the browser's, the one of workers, Node ≥ 22, Deno and Bun, and
 * the class of the package `ws` all fit.
 */
export interface WebSocketLike {
  binaryType: string;
  readonly protocol: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
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
