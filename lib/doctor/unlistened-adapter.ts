import { createServer, type Server } from 'node:http';
import { AbstractHttpAdapter } from '@nestjs/core';

/**
 * Stands in for Express or Fastify: the application has an HTTP server, so the module counts it as one that clients connect to, and
 * nothing can make it listen or serve. Neither framework has to be installed.
 */
export class UnlistenedAdapter extends AbstractHttpAdapter<Server> {
  override initHttpServer(): void {
    this.httpServer = createServer();
  }

  override listen(): never {
    throw new Error('The doctor looks at the application, and does not serve it');
  }

  override getType(): string {
    return 'doctor';
  }

  override getInstance<T>(): T {
    return nothing as T;
  }

  override use(): void {}
  override close(): void {}
  override useStaticAssets(): void {}
  override setViewEngine(): void {}
  override getRequestHostname(): void {}
  override getRequestMethod(): void {}
  override getRequestUrl(): void {}
  override status(): void {}
  override reply(): void {}
  override end(): void {}
  override render(): void {}
  override redirect(): void {}
  override setErrorHandler(): void {}
  override setNotFoundHandler(): void {}
  override isHeadersSent(): boolean {
    return false;
  }
  override getHeader(): void {}
  override setHeader(): void {}
  override appendHeader(): void {}
  override registerParserMiddleware(): void {}
  override enableCors(): void {}
  override createMiddlewareFactory(): () => void {
    return nothing;
  }
  override applyVersionFilter(): () => () => void {
    return () => nothing;
  }
}

function nothing(): void {}
