import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { HttpRequestHandler, PathClaims } from '../../core/ports/transport.js';
import { isHttp2 } from './http2.js';
import { giveWay, isLeaving } from './leaving.js';
import { PathRouter, type RouterListener } from './path-router.js';

const ROUTER = Symbol.for('nestjs-realtime.request-router.v1');
type RoutedServer = Server & { [ROUTER]?: RequestRouter };

/** Kept on the socket: the answer that may last. */
const OCCUPANT = Symbol.for('nestjs-realtime.occupant');
/** Kept on the socket: the answer to its last request, where it had to wait for others before it. */
const QUEUED = Symbol.for('nestjs-realtime.queued');
type OccupiedSocket = IncomingMessage['socket'] & {
  [OCCUPANT]?: ServerResponse;
  [QUEUED]?: ServerResponse | undefined;
};

/** Takes the requests of one path with some methods. @param allow every method that the path takes, as in `Allow`. */
export type MethodHandler = (req: IncomingMessage, res: ServerResponse, allow: string) => void;

/** A path that several share by method. */
interface SharedPath {
  readonly handlers: Map<string, MethodHandler>;
  readonly release: () => void;
}

/**
 * Shares the `'request'` event of one HTTP server, as {@link PathRouter} says. A claimed path never reaches the framework: no body
 * parser, CORS, session, compression or security header of the application touches it.
 *
 * @example
 * const release = RequestRouter.of(server).claim('/realtime/sse', (req, res) => …);
 */
export class RequestRouter
  extends PathRouter<[res: ServerResponse]>
  implements PathClaims<HttpRequestHandler>
{
  private readonly shared = new Map<string, SharedPath>();

  private constructor(server: Server) {
    super(server, 'request', ROUTER);
  }

  /** The router of a server; a new one does nothing until a path is claimed. */
  static of(server: Server): RequestRouter {
    return (server as RoutedServer)[ROUTER] ?? new RequestRouter(server);
  }

  /**
   * Takes the requests of a path that have one of these methods, and the preflights that ask for one of them. A method that nobody
   * claimed goes to who claimed the path first, to be refused.
   *
   * @returns Releases them; idempotent.
   * @throws Error when one of them, or the whole path, is taken, by who is not leaving.
   */
  claimMethods(path: string, methods: readonly string[], handler: MethodHandler): () => void {
    const { handlers, release } = this.shared.get(path) ?? this.share(path);
    const before = methods.map((method) => handlers.get(method));
    if (before.some((other) => other !== undefined && !isLeaving(other))) {
      throw new Error(
        `Requests of "${path}" are already taken on this server. Give one of the transports another path.`,
      );
    }
    for (const method of methods) handlers.set(method, handler);
    for (const other of before) giveWay(other);
    return () => {
      for (const method of methods) if (handlers.get(method) === handler) handlers.delete(method);
      if (handlers.size > 0 || this.shared.get(path)?.handlers !== handlers) return;
      this.shared.delete(path);
      release();
    };
  }

  private share(path: string): SharedPath {
    const handlers = new Map<string, MethodHandler>();
    const release = this.claim(path, (req, res) => {
      const { method = '', headers } = req;
      const asked = method === 'OPTIONS' ? (headers['access-control-request-method'] ?? '') : method;
      const [first] = handlers.values();
      const handler = handlers.get(asked) ?? first;
      handler?.(req, res, [...handlers.keys(), 'OPTIONS'].join(', '));
    });
    const shared = { handlers, release };
    this.shared.set(path, shared);
    return shared;
  }

  protected readonly dispatch: RouterListener<[res: ServerResponse]> = (req, res) => {
    // Its answer would wait for the end of the stream, and what it asks for would be kept until then.
    if (isOccupied(req)) return void req.socket.destroy();
    noteQueued(req, res);
    this.handlerOf(req)?.(req, res);
  };

  protected override keeps(req: IncomingMessage): boolean {
    return isOccupied(req) || super.keeps(req);
  }
}

/**
 * The answer of this request may last: what is pipelined behind it on the same connection ends the connection, until the answer
 * is complete.
 *
 * @returns `false` where something came behind it already, while it was decided about this one: the answer to that may be made, and
 * would be kept until the end. The connection is ended.
 */
export function occupy(req: IncomingMessage, res: ServerResponse): boolean {
  // The requests of an HTTP/2 connection do not wait for each other.
  if (isHttp2(req)) return true;
  const socket = req.socket as OccupiedSocket;
  const last = socket[QUEUED];
  if (last !== undefined && last !== res) {
    socket.destroy();
    return false;
  }
  socket[OCCUPANT] = res;
  return true;
}

function isOccupied({ socket }: IncomingMessage): boolean {
  return (socket as OccupiedSocket)[OCCUPANT]?.writableEnded === false;
}

/** Node does not say what waits on a connection, only that this answer does: it has no socket until its turn. */
function noteQueued(req: IncomingMessage, res: ServerResponse): void {
  if (isHttp2(req)) return;
  const socket = req.socket as OccupiedSocket;
  if (res.socket === null) socket[QUEUED] = res;
  else if (socket[QUEUED] !== undefined) socket[QUEUED] = undefined;
}
