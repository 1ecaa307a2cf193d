import { Injectable, Logger } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { withoutUserinfo } from '../core/ports/log-text.js';
import { failureOf } from './failure.js';

/**
 * Writes answers, with Express and Fastify alike. By itself: an interceptor of the application that wraps what controllers return
 * would make answers that the OpenAPI document does not describe.
 */
@Injectable()
export class AdminAnswers {
  private readonly logger = new Logger('RealtimeAdminModule');

  constructor(private readonly host: HttpAdapterHost) {}

  send(response: unknown, body: unknown): void {
    this.write(response, 200, JSON.stringify(body, writable));
  }

  fail(response: unknown, error: unknown): void {
    const { status, body, isUnexpected } = failureOf(error);
    if (isUnexpected)
      this.logger.error(
        'A request failed',
        withoutUserinfo(String(error instanceof Error ? error.stack : error)),
      );
    const { httpAdapter } = this.host;
    const { retryAfterMs } = body.error;
    if (retryAfterMs !== undefined && httpAdapter.getHeader?.(response, 'Retry-After') === undefined)
      httpAdapter.setHeader(response, 'Retry-After', String(Math.max(1, Math.ceil(retryAfterMs / 1_000))));
    if (status === 401) httpAdapter.setHeader(response, 'WWW-Authenticate', 'Bearer');
    this.write(response, status, JSON.stringify(body));
  }

  private write(response: unknown, status: number, text: string): void {
    const { httpAdapter } = this.host;
    httpAdapter.setHeader(response, 'Content-Type', 'application/json; charset=utf-8');
    httpAdapter.setHeader(response, 'Cache-Control', 'no-store');
    httpAdapter.setHeader(response, 'X-Content-Type-Options', 'nosniff');
    httpAdapter.reply(response, text, status);
  }
}

/** JSON has no bytes and no infinity: bytes go as base64, and a limit without end as null, which JSON makes of it by itself. */
function writable(_name: string, value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}
