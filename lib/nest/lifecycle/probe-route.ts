import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HttpAdapterHost } from '@nestjs/core';
import type { EngineLogger } from '../../core/ports/logger.js';
import { refusalBody, refusalHeaders, type WebSocketTransport } from '../../transports/websocket/index.js';

/** Requests and responses of Express and Fastify, as far as they lead to Node's own. */
interface FrameworkRequest {
  readonly raw?: IncomingMessage;
}
interface FrameworkReply {
  readonly raw?: ServerResponse;
  hijack?(): void;
}
type RouteHandler = (request: FrameworkRequest, reply: FrameworkReply) => void;
type HttpAdapter = HttpAdapterHost['httpAdapter'];

/**
 * `GET {path}`: answers as an upgrade would be answered, for browsers that see every refusal as 1006 (P18). Registered after
 * the routes of the application, which so take precedence, and before Nest's own 404.
 */
export class ProbeRoute {
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
    return (request, reply) => {
      // Fastify would send a reply of its own when the handler returns.
      reply.hijack?.();
      run(request.raw ?? (request as IncomingMessage), reply.raw ?? (reply as ServerResponse));
    };
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    this.transport.probe(request).then(
      (refusal) => {
        const body = refusalBody(refusal);
        const headers = {
          ...refusalHeaders(refusal),
          ...corsOf(request),
          'Content-Length': Buffer.byteLength(body),
        };
        response.writeHead(refusal.status, headers).end(body);
      },
      (error: unknown) => {
        this.logger.error('The connection probe failed', error);
        response.writeHead(503).end();
      },
    );
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
