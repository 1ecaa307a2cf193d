import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../core/ports/clock.js';
import { writeRefusal } from './refusal.js';
import { watchStray } from './stray-upgrade.js';
import { UpgradeGuard, type UpgradeListener } from './upgrade-guard.js';

/** Takes the upgrades of one path. The socket has an `'error'` listener already. */
export type UpgradeHandler = (req: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Kept on the server under a global name: two copies of this package in one process must find each other. */
const ROUTER = Symbol.for('nestjs-realtime.upgrade-router.v1');
type RoutedServer = Server & { [ROUTER]?: UpgradeRouter };

/**
 * Shares the `'upgrade'` event of one HTTP server. Claimed paths are ours alone; every other upgrade reaches the
 * other listeners (a gateway's WsAdapter, Socket.IO, GraphQL) as if we were not there, whether they came before
 * or come after us, and they can be removed as always. There is one router per server, so two applications
 * on one server share it; when its last path is released everything is put back.
 *
 * @example
 * const release = UpgradeRouter.of(server, systemClock).claim('/realtime', (req, socket, head) => …);
 */
export class UpgradeRouter {
  private readonly routes = new Map<string, UpgradeHandler>();
  /** The stand-ins of other listeners, by what is registered on the server. */
  private readonly guards = new WeakMap<UpgradeListener, UpgradeGuard>();
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

  /**
   * Takes a path over, with and without one trailing slash. The returned function lets go of it; idempotent.
   *
   * @throws Error when the path is taken.
   */
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
    // Node has taken its own listener off: a reset while somebody authenticates, or while nobody cares for the
    // socket,
    // would be an unhandled 'error' and the end of the process (CVE-2020-7693).
    socket.on('error', ignore);
    const handler = this.routes.get(routeOf(req.url));
    if (handler !== undefined) handler(req, socket, head);
    // `dispatch` is always the first listener, so the others are about to run.
    else if (this.server.listenerCount('upgrade') > 1) watchStray(socket, this.clock);
    else writeRefusal(socket, { status: 404, message: 'Nothing here takes upgrades' }, this.clock);
  };

  private readonly isOurs = (req: IncomingMessage): boolean => this.routes.has(routeOf(req.url));

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

  /** Makes sure that we are the first listener, that all others are guarded, and that changes are noticed. */
  private arrange(): void {
    this.server[ROUTER] = this;
    this.observe(true);
    const registered = this.server.rawListeners('upgrade') as UpgradeListener[];
    const others = registered.filter((listener) => listener !== this.dispatch);
    if (registered[0] === this.dispatch && others.every((listener) => this.guards.has(listener))) return;
    this.register([this.dispatch, ...others.map((listener) => this.guarded(listener))]);
  }

  private restore(): void {
    delete this.server[ROUTER];
    this.observe(false);
    const registered = this.server.rawListeners('upgrade') as UpgradeListener[];
    const others = registered.filter((listener) => listener !== this.dispatch);
    this.register(others.map((listener) => this.guards.get(listener)?.original ?? listener));
  }

  private guarded(listener: UpgradeListener): UpgradeListener {
    if (this.guards.has(listener)) return listener;
    const guard = new UpgradeGuard(this.server, listener, this.isOurs);
    this.guards.set(guard.registered, guard);
    return guard.registered;
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

function ignore(): void {
  // The 'close' that follows is all that anybody needs to know.
}
