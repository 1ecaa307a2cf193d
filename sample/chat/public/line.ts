import type { ClientFetch, WebSocketConstructor, WebSocketLike } from 'nestjs-realtime/client';
import type { HttpFetch } from 'nestjs-realtime/client/http';

/**
 * The cable between page and server, which the page can cut: the client uses this WebSocket class and this `fetch`. Only the
 * demo needs it; without both options the client uses the browser's own.
 */
export class Line {
  private readonly plugs = new Set<Pick<Plug, 'pull'>>();
  private cutOff = false;

  readonly webSocket: WebSocketConstructor = plugClass(this);

  readonly fetch: ClientFetch = (url, init) =>
    this.cutOff ? Promise.reject(new TypeError('The connection is cut')) : fetch(url, init);

  /** For the requests of a session without a WebSocket: each ends when the line is cut. */
  readonly request: HttpFetch = async (url, init) => {
    if (this.cutOff) throw new TypeError('The connection is cut');
    const cut = new AbortController();
    const plug = { pull: () => cut.abort() };
    const signal = AbortSignal.any([init.signal, cut.signal]);
    this.plugs.add(plug);
    signal.addEventListener('abort', () => this.plugs.delete(plug));
    return fetch(url, { ...init, signal });
  };

  get isCut(): boolean {
    return this.cutOff;
  }

  /** Drops the connection without a `bye`, and refuses new ones. */
  cut(): void {
    this.cutOff = true;
    for (const plug of this.plugs) plug.pull();
  }

  restore(): void {
    this.cutOff = false;
  }

  add(plug: Plug): void {
    this.plugs.add(plug);
  }

  remove(plug: Plug): void {
    this.plugs.delete(plug);
  }
}

function plugClass(line: Line): WebSocketConstructor {
  return class extends Plug {
    constructor(url: string, protocols: string[]) {
      super(line, url, protocols);
    }
  };
}

/** A WebSocket that ends when the line is cut, as if the network were gone: with code 1006. */
class Plug implements WebSocketLike {
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  private readonly socket: WebSocket | undefined;
  private pulled = false;

  constructor(
    private readonly line: Line,
    url: string,
    protocols: string[],
  ) {
    if (line.isCut) {
      setTimeout(() => this.pull());
      return;
    }
    this.socket = new WebSocket(url, protocols);
    this.socket.onopen = (event) => this.onopen?.(event as never);
    this.socket.onmessage = (event) => this.pulled || this.onmessage?.(event as never);
    this.socket.onclose = (event) => this.end(event);
    line.add(this);
  }

  get binaryType(): string {
    return this.socket?.binaryType ?? 'blob';
  }

  set binaryType(type: string) {
    if (this.socket !== undefined) this.socket.binaryType = type as BinaryType;
  }

  get protocol(): string {
    return this.socket?.protocol ?? '';
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (!this.pulled) this.socket?.send(data);
  }

  close(code?: number, reason?: string): void {
    this.socket?.close(code, reason);
  }

  /** The server sees the socket end without the protocol's `bye`, as when a phone enters a tunnel. */
  pull(): void {
    this.end({ code: 1006, reason: '' });
    this.socket?.close();
  }

  private end(event: { code: number; reason: string }): void {
    if (this.pulled) return;
    this.pulled = true;
    this.line.remove(this);
    this.onclose?.(event as never);
  }
}
