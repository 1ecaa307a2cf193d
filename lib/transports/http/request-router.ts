import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { HttpRequestHandler, PathClaims } from '../../core/ports/transport.js';
import { isHttp2 } from './http2.js';
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
  private constructor(server: Server) {
    super(server, 'request', ROUTER);
  }

  /** The router of a server; a new one does nothing until a path is claimed. */
  static of(server: Server): RequestRouter {
    return (server as RoutedServer)[ROUTER] ?? new RequestRouter(server);
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
