import type { IncomingMessage, ServerResponse } from 'node:http';

/** A request of Express, which is Node's, or of Fastify, which holds it. */
export interface FrameworkRequest {
  readonly raw?: IncomingMessage | undefined;
}

/** The same of a response. */
export interface FrameworkReply {
  readonly raw?: ServerResponse | undefined;
  hijack?(): unknown;
  getHeaders?(): Readonly<Record<string, number | string | readonly string[] | undefined>>;
}

export function rawRequest(request: FrameworkRequest): IncomingMessage {
  return request.raw ?? (request as IncomingMessage);
}

/** Takes the answer over: Fastify would send a reply of its own when the handler returns. */
export function takeResponse(reply: FrameworkReply): ServerResponse {
  reply.hijack?.();
  return reply.raw ?? (reply as ServerResponse);
}
