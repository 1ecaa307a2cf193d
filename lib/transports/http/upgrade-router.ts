import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../core/ports/clock.js';
import type { Refusal } from '../../core/ports/transport-host.js';
import type { PathClaims, UpgradeHandler } from '../../core/ports/transport.js';
import { writeRefusal } from './refusal.js';

/** A listener of an HTTP server's `'upgrade'` event. */
type UpgradeListener = (req: IncomingMessage, socket: Duplex, head: Buffer) => unknown;

/** A listener that stands in for another one. `listener` is what `removeListener` and `listeners()` compare and show. */
interface Guard extends UpgradeListener {
  listener?: UpgradeListener;
}

/** What `EventEmitter` names the function that it keeps for `once`. */
const ONCE_WRAPPER = 'bound onceWrapper';

/** How long an upgrade may stay untouched, in milliseconds; as Engine.IO waits (`destroyUpgradeTimeout`). */
const STRAY_AFTER_MS = 1_000;

const NOT_FOUND: Refusal = { status: 404, message: 'Nothing here takes upgrades' };

/** Kept on the server under a global name: two copies of this package in one process must find each other. */
const ROUTER = Symbol.for('nestjs-realtime.upgrade-router.v1');
type RoutedServer = Server & { [ROUTER]?: UpgradeRouter };

/**
 * Shares the `'upgrade'` event of one HTTP server. Claimed paths are ours alone; every other upgrade reaches the
 * other listeners (a gateway's WsAdapter, Socket.IO, GraphQL) as if we were not there, whether they were added before
 * us or after, and they can be removed as always. There is one router per server, so two applications
 * on one server share it; when its last path is released everything is put back.
 *
 * @example
 * const release = UpgradeRouter.of(server, systemClock).claim('/realtime', (req, socket, head) => …);
 */
export class UpgradeRouter implements PathClaims<UpgradeHandler> {
  private readonly routes = new Map<string, UpgradeHandler>();
  /** The listeners of others, a `once` wrapper included, by the guard that is registered on the server instead. */
  private readonly guarded = new WeakMap<UpgradeListener, UpgradeListener>();
  private arranging = false;
  private scheduled = false;

  private constructor(
    private readonly server: RoutedServer,
    private readonly clock: Clock,
  ) {}

  /** The router of a server; a new one does nothing until a path is claimed. */
  static of(server: Server, clock: Clock): UpgradeRouter {
    return (server as RoutedServer)[ROUTER] ?? new UpgradeRouter(server, clock);
  }

  claim(path: string, handler: UpgradeHandler): () => void {
    const route = withoutSlash(path);
    if (this.routes.has(route)) {
      throw new Error(
        `Upgrades of "${path}" are already taken on this server. Give one of the transports another path.`,
      );
    }
    this.routes.set(route, handler);
    this.arrange();
    return () => {
      if (this.routes.get(route) !== handler) return;
      this.routes.delete(route);
      if (this.routes.size === 0) this.restore();
    };
  }

  private readonly dispatch: UpgradeListener = (req, socket, head) => {
    // Node has removed its own listener: a reset while a client is verified, or before a listener takes the socket, would
    // be an unhandled 'error' and end the process (CVE-2020-7693).
    socket.on('error', ignore);
    const handler = this.routes.get(routeOf(req.url));
    if (handler !== undefined) {
      // Node would write the answer into the stream of frames; a refusal would be taken for that answer.
      if (isAnswering(socket)) socket.destroy();
      else handler(req, socket, head);
    }
    // `dispatch` is always the first listener, so the others are about to run.
    else if (this.server.listenerCount('upgrade') > 1) watchStray(socket, this.clock);
    else writeRefusal(socket, NOT_FOUND, this.clock);
  };

  /**
   * `newListener` comes before the listener is added, so the work waits for the end of the current code; no request can
   * come in between.
   */
  private readonly onListenersChanged = (event: string | symbol): void => {
    if (event !== 'upgrade' || this.arranging || this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      if (this.routes.size > 0) this.arrange();
    });
  };

  /** Makes `dispatch` the first listener, guards all others, and watches for changes. */
  private arrange(): void {
    this.server[ROUTER] = this;
    this.observe(true);
    const registered = this.server.rawListeners('upgrade') as UpgradeListener[];
    const others = registered.filter((listener) => listener !== this.dispatch);
    if (registered[0] === this.dispatch && others.every((listener) => this.guarded.has(listener))) return;
    this.register([this.dispatch, ...others.map((listener) => this.guard(listener))]);
  }

  private restore(): void {
    delete this.server[ROUTER];
    this.observe(false);
    const registered = this.server.rawListeners('upgrade') as UpgradeListener[];
    const others = registered.filter((listener) => listener !== this.dispatch);
    this.register(others.map((listener) => this.guarded.get(listener) ?? listener));
  }

  /**
   * Keeps our upgrades from another listener: Node offers no way to stop an event, and WsAdapter destroys the socket
   * of every path it does not know. The guard wraps as `once` does, with the original in `listener`, so to its owner the
   * listener is still there: `listeners()` shows it and `removeListener` really removes it.
   */
  private guard(listener: UpgradeListener): UpgradeListener {
    if (this.guarded.has(listener)) return listener;
    const { server, routes } = this;
    const once = listener.name === ONCE_WRAPPER;
    const guard: Guard = (req, socket, head) => {
      if (routes.has(routeOf(req.url))) return undefined;
      // The wrapper of `once` would look for itself on the server, where only the guard is.
      if (once) server.removeListener('upgrade', guard);
      return listener.call(server, req, socket, head);
    };
    guard.listener = (listener as Guard).listener ?? listener;
    this.guarded.set(guard, listener);
    return guard;
  }

  private observe(on: boolean): void {
    for (const event of ['newListener', 'removeListener'] as const) {
      this.server.removeListener(event, this.onListenersChanged);
      if (on) this.server.on(event, this.onListenersChanged);
    }
  }

  private register(listeners: readonly UpgradeListener[]): void {
    this.arranging = true;
    try {
      this.server.removeAllListeners('upgrade');
      for (const listener of listeners) this.server.on('upgrade', listener);
    } finally {
      this.arranging = false;
    }
  }
}

/**
 * Watches the socket of an upgrade that other listeners may or may not want. Some of them (GraphQL) leave what they do
 * not know open for ever; so an upgrade that no listener has touched for a second is answered with 404.
 *
 * A listener that wrote, read or listened took it, and may take as long as it likes: bytes alone would not tell a
 * neighbour whose authentication is slow, and a connection that was kept alive has written before.
 */
function watchStray(socket: Duplex, clock: Clock): void {
  const timer = clock.schedule(STRAY_AFTER_MS, () => {
    if (!socket.destroyed && traceOf(socket) === before) writeRefusal(socket, NOT_FOUND, clock);
  });
  socket.once('close', () => timer.cancel());
  const before = traceOf(socket);
}

/** Changes as soon as a listener does anything with the socket. */
function traceOf(socket: Duplex & { readonly bytesWritten?: number }): string {
  const listeners = socket.eventNames().map((event) => `${String(event)}:${socket.listenerCount(event)}`);
  return [socket.bytesWritten, socket.readableFlowing, socket.writableEnded, ...listeners.sort()].join();
}

/** The path of a request target without its query, and without one trailing slash. */
function routeOf(target = ''): string {
  const path = target.startsWith('/') ? target : pathOfAbsolute(target);
  const query = path.indexOf('?');
  return withoutSlash(query === -1 ? path : path.slice(0, query));
}

/** Proxies may ask with the whole URL (RFC 9112 §3.2.2); any other target matches no route. */
function pathOfAbsolute(target: string): string {
  return /^https?:\/\//i.test(target) && URL.canParse(target) ? new URL(target).pathname : '';
}

function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

/** Whether a request came before on the same connection that has no complete answer yet. Node names it nowhere else. */
function isAnswering(socket: Duplex & { readonly _httpMessage?: ServerResponse | null }): boolean {
  return (socket._httpMessage ?? null) !== null;
}

function ignore(): void {
  // 'close' follows.
}
