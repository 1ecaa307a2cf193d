import type { IncomingMessage, Server } from 'node:http';

/** A listener of the event that a router shares. */
export type RouterListener<Rest extends readonly unknown[]> = (
  req: IncomingMessage,
  ...rest: Rest
) => unknown;

/** A listener that stands in for another one. `listener` is what `removeListener` and `listeners()` compare and show. */
interface Guard<Rest extends readonly unknown[]> extends RouterListener<Rest> {
  listener?: RouterListener<Rest>;
}

/** What `EventEmitter` names the function that it keeps for `once`. */
const ONCE_WRAPPER = 'bound onceWrapper';

/**
 * Shares one event of one HTTP server. Claimed paths are ours alone; everything else reaches the other listeners as if we were
 * not there, whether they were added before us or after, and they can be removed as always. There is one router per server
 * and event, so two applications on one server share it; when its last path is released everything is put back.
 */
export abstract class PathRouter<Rest extends readonly unknown[]> {
  private readonly routes = new Map<string, (req: IncomingMessage, ...rest: Rest) => void>();
  /** The listeners of others, a `once` wrapper included, by the guard that is registered on the server instead. */
  private readonly guarded = new WeakMap<RouterListener<Rest>, RouterListener<Rest>>();
  private watchers = 0;
  private arranging = false;
  private scheduled = false;

  /**
   * @param key under which the router is kept on the server: a global symbol, since two copies of this package in one process
   * must find each other.
   */
  protected constructor(
    protected readonly server: Server,
    private readonly event: 'upgrade' | 'request',
    private readonly key: symbol,
  ) {}

  claim(path: string, handler: (req: IncomingMessage, ...rest: Rest) => void): () => void {
    const route = withoutSlash(path);
    if (this.routes.has(route)) {
      const what = this.event === 'upgrade' ? 'Upgrades' : 'Requests';
      throw new Error(
        `${what} of "${path}" are already taken on this server. Give one of the transports another path.`,
      );
    }
    this.routes.set(route, handler);
    this.arrange();
    return () => {
      if (this.routes.get(route) !== handler) return;
      this.routes.delete(route);
      this.restoreIfUnused();
    };
  }

  /** Sees every request without a path of its own. @returns ends it. */
  watch(): () => void {
    this.watchers++;
    this.arrange();
    let watches = true;
    return () => {
      if (watches) this.watchers--;
      watches = false;
      this.restoreIfUnused();
    };
  }

  /** Takes what comes for a claimed path, before the other listeners. */
  protected abstract readonly dispatch: RouterListener<Rest>;

  /** Whether the other listeners must not see it. */
  protected keeps(req: IncomingMessage): boolean {
    return this.routes.has(routeOf(req.url));
  }

  protected handlerOf(req: IncomingMessage): ((req: IncomingMessage, ...rest: Rest) => void) | undefined {
    return this.routes.get(routeOf(req.url));
  }

  /**
   * `newListener` comes before the listener is added, so the work waits for the end of the current code; no request can
   * come in between.
   */
  private readonly onListenersChanged = (event: string | symbol): void => {
    if (event !== this.event || this.arranging || this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      if (this.isUsed) this.arrange();
    });
  };

  /** Makes `dispatch` the first listener, guards all others, and watches for changes. */
  private arrange(): void {
    (this.server as unknown as Record<symbol, unknown>)[this.key] = this;
    this.observe(true);
    const registered = this.registered;
    const others = registered.filter((listener) => listener !== this.dispatch);
    if (registered[0] === this.dispatch && others.every((listener) => this.guarded.has(listener))) return;
    this.register([this.dispatch, ...others.map((listener) => this.guard(listener))]);
  }

  private get isUsed(): boolean {
    return this.routes.size > 0 || this.watchers > 0;
  }

  private restoreIfUnused(): void {
    if (!this.isUsed) this.restore();
  }

  private restore(): void {
    delete (this.server as unknown as Record<symbol, unknown>)[this.key];
    this.observe(false);
    const others = this.registered.filter((listener) => listener !== this.dispatch);
    this.register(others.map((listener) => this.guarded.get(listener) ?? listener));
  }

  private get registered(): RouterListener<Rest>[] {
    return this.server.rawListeners(this.event) as unknown as RouterListener<Rest>[];
  }

  /**
   * Keeps what is ours from another listener: Node offers no way to stop an event, and WsAdapter destroys the socket of every
   * path it does not know. The guard wraps as `once` does, with the original in `listener`, so to its owner the listener is
   * still there: `listeners()` shows it and `removeListener` really removes it.
   */
  private guard(listener: RouterListener<Rest>): RouterListener<Rest> {
    if (this.guarded.has(listener)) return listener;
    const { server, event } = this;
    const once = listener.name === ONCE_WRAPPER;
    const guard: Guard<Rest> = (req, ...rest) => {
      if (this.keeps(req)) return undefined;
      // The wrapper of `once` would look for itself on the server, where only the guard is.
      if (once) server.removeListener(event, guard as never);
      return listener.call(server, req, ...rest);
    };
    guard.listener = (listener as Guard<Rest>).listener ?? listener;
    this.guarded.set(guard, listener);
    return guard;
  }

  private observe(on: boolean): void {
    for (const event of ['newListener', 'removeListener'] as const) {
      this.server.removeListener(event, this.onListenersChanged);
      if (on) this.server.on(event, this.onListenersChanged);
    }
  }

  private register(listeners: readonly RouterListener<Rest>[]): void {
    this.arranging = true;
    try {
      this.server.removeAllListeners(this.event);
      for (const listener of listeners) this.server.on(this.event, listener as never);
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
