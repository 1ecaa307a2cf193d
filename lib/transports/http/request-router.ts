import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { HttpRequestHandler, PathClaims } from '../../core/ports/transport.js';
import { PathRouter, type RouterListener } from './path-router.js';

const ROUTER = Symbol.for('nestjs-realtime.request-router.v1');
type RoutedServer = Server & { [ROUTER]?: RequestRouter };

/** Kept on the socket: the answer that may last. */
const OCCUPANT = Symbol.for('nestjs-realtime.occupant');
type OccupiedSocket = IncomingMessage['socket'] & { [OCCUPANT]?: ServerResponse };

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
    if (isOccupied(req)) req.socket.destroy();
    else this.handlerOf(req)?.(req, res);
  };

  protected override keeps(req: IncomingMessage): boolean {
    return isOccupied(req) || super.keeps(req);
  }
}

/**
 * The answer of this request may last: what is pipelined behind it on the same connection ends the connection, until the answer
 * is complete.
 */
export function occupy(req: IncomingMessage, res: ServerResponse): void {
  // The requests of an HTTP/2 connection do not wait for each other.
  if (!isHttp2(req)) (req.socket as OccupiedSocket)[OCCUPANT] = res;
}

/** By what it is: Node's parser of HTTP/1 takes every version that a client writes into its request line. */
export function isHttp2(req: IncomingMessage): boolean {
  return 'stream' in req;
}

function isOccupied({ socket }: IncomingMessage): boolean {
  return (socket as OccupiedSocket)[OCCUPANT]?.writableEnded === false;
}
