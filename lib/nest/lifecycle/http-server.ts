import type { Server } from 'node:http';
import type { HttpAdapterHost } from '@nestjs/core';

/** The application's HTTP server; `undefined` in workers, application contexts and microservices. */
export function httpServerOf(host: HttpAdapterHost): Server | undefined {
  // Nest's type does not say so, but there is no adapter in an application without HTTP.
  const adapter = host.httpAdapter as HttpAdapterHost['httpAdapter'] | null | undefined;
  const server = adapter?.getHttpServer() as Server | null | undefined;
  return typeof server?.on === 'function' ? server : undefined;
}
