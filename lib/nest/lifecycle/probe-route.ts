import type { Socket } from 'node:net';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HttpAdapterHost } from '@nestjs/core';
import type { EngineLogger } from '../../core/ports/logger.js';
import type { Refusal } from '../../core/ports/transport-host.js';
import { rawRequest, takeResponse, type FrameworkReply, type FrameworkRequest } from './framework.js';
import { forwardedBy } from '../../transports/http/client-address.js';
import { ONE_BY_ONE, TRY_LATER } from '../../transports/http/refusal.js';
import { refusalBody, refusalHeaders, type WebSocketTransport } from '../../transports/websocket/index.js';

type RouteHandler = (request: FrameworkRequest, reply: FrameworkReply) => void;
type HttpAdapter = HttpAdapterHost['httpAdapter'];

/**
 * `GET {path}`: answers as an upgrade would be answered, for browsers that see every refusal as 1006 (P18). Registered after
 * the routes of the application, which so take precedence, and before Nest's own 404.
 */
export class ProbeRoute {
  /** Sockets with a request that has no answer yet. */
  private readonly asking = new WeakSet<Socket>();
  /** Sockets that end with an answer: what is pipelined behind it gets none. */
  private readonly ending = new WeakSet<Socket>();

  constructor(
    private readonly transport: WebSocketTransport,
    private readonly logger: EngineLogger,
  ) {}

  register(adapter: HttpAdapter): void {
    const { path } = this.transport;
    try {
      adapter.get(
        path,
        this.handler((request, response) => this.answer(request, response)),
      );
      adapter.options(
        path,
        this.handler((request, response) => this.preflight(request, response)),
      );
    } catch (error) {
      // Fastify refuses a second route; Express keeps the first. Either way the application's route stays.
      const reason = (error as Error).message;
      this.logger.warn(
        `GET ${path} is a route of the application, so browsers cannot learn why a connection failed. ` +
          `Move that route, or set path: ${reason}`,
      );
    }
  }

  private handler(run: (request: IncomingMessage, response: ServerResponse) => void): RouteHandler {
    return (request, reply) => run(rawRequest(request), takeResponse(reply));
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    if (this.ending.has(socket)) return;
    if (this.asking.has(socket)) return this.send(ONE_BY_ONE, request, response);
    this.asking.add(socket);
    void this.transport
      .probe(request)
      .catch((error: unknown) => {
        this.logger.error('The connection probe failed', error);
        return TRY_LATER;
      })
      .then((refusal) => {
        this.asking.delete(socket);
        this.send(refusal, request, response);
      });
  }

  private send(refusal: Refusal, request: IncomingMessage, response: ServerResponse): void {
    const { status } = refusal;
    const body = refusalBody(refusal);
    const ends = status === 429 || status === 503;
    if (ends) this.ending.add(request.socket);
    // Upgrade is for the next hop (RFC 9110 §7.8). nginx passes it on into HTTP/2, where it breaks the answer (RFC 9113 §8.2.2).
    const { Upgrade, ...passable } = refusalHeaders(refusal);
    const isNextHop = Upgrade !== undefined && forwardedBy(request.headers) === undefined;
    const headers = {
      ...passable,
      ...(isNextHop && { Upgrade }),
      ...corsOf(request),
      ...(ends && { Connection: 'close' }),
      'Content-Length': Buffer.byteLength(body),
    };
    response.writeHead(status, headers).end(body);
  }

  private preflight(request: IncomingMessage, response: ServerResponse): void {
    const headers = {
      ...corsOf(request),
      'Access-Control-Allow-Methods': 'GET',
      'Access-Control-Allow-Headers': 'Authorization',
      'Access-Control-Max-Age': '600',
    };
    response.writeHead(204, headers).end();
  }
}

/**
 * Lets a page of any origin read the answer: a page that may not connect should learn that (403). There is
 * nothing to protect: cookies of a foreign page are refused before they are read, and the answer holds no data
 * of a user.
 */
function corsOf({ headers: { origin } }: IncomingMessage): Record<string, string> {
  if (origin === undefined) return { Vary: 'Origin' };
  return {
    Vary: 'Origin',
    'Access-Control-Allow-Origin': origin,
    'Access-Control-Allow-Credentials': 'true',
    'Access-Control-Expose-Headers': 'Retry-After',
  };
}
