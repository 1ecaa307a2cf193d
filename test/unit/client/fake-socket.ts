import type { WebSocketConstructor, WebSocketLike } from '../../../lib/client/transport/websocket.js';

type Handler = (event: unknown) => void;

/** What a {@link FakeSocket} does once it was made. */
export type SocketPlan = (socket: FakeSocket) => void;

/** A WebSocket without a network: it does what its plan says, or what a test calls. */
export class FakeSocket implements WebSocketLike {
  binaryType = '';
  protocol = '';
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;
  readonly sent: string[] = [];
  closes = 0;

  constructor(
    readonly url: string,
    readonly protocols: readonly string[],
  ) {}

  /** The events of its life, as a platform fires them. */
  fire(type: 'open' | 'message' | 'close' | 'error', event: unknown = {}): void {
    (this[`on${type}`] as Handler | null)?.(event);
  }

  open(): void {
    this.protocol = this.protocols[0] ?? '';
    this.fire('open');
  }

  message(message: Record<string, unknown>): void {
    this.fire('message', { data: JSON.stringify(message) });
  }

  send(data: string | Uint8Array): void {
    this.sent.push(String(data));
  }

  close(): void {
    this.closes++;
  }
}

/** A WebSocket class whose sockets follow `plan`, and the sockets that were made. */
export function fakeSockets(plan: SocketPlan = () => undefined): {
  readonly webSocket: WebSocketConstructor;
  readonly made: FakeSocket[];
} {
  const made: FakeSocket[] = [];
  return {
    made,
    webSocket: class extends FakeSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        made.push(this);
        queueMicrotask(() => plan(this));
      }
    },
  };
}

/** Opens, and welcomes the client at once. */
export const welcoming: SocketPlan = (socket) => {
  socket.send = (data) => {
    socket.sent.push(String(data));
    const [first = ''] = String(data).split('\n');
    const { type, id } = JSON.parse(first) as { type: string; id: string };
    if (type === 'hello') queueMicrotask(() => socket.message({ type: 'welcome', ref: id, payload: {} }));
  };
  socket.open();
};
