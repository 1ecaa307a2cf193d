import { HttpException } from '@nestjs/common';
import { WsException } from '@nestjs/websockets';
import type { Entropy } from '../../core/ports/entropy.js';
import type { EngineLogger } from '../../core/ports/logger.js';
import { isErrorCode, type ErrorCode } from '../../protocol/error-codes.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { isRecord } from '../../protocol/validation/checks.js';
import { isValidationError, validationDetails } from './validation-details.js';

/** Where an error came from, for the log. Clients choose nothing in it (G23). */
export interface ErrorOrigin {
  /** Class and method. */
  readonly source: string;
  readonly connectionId?: string;
}

/**
 * Maps what application code throws to an error of the protocol (§6).
 *
 * | thrown | code |
 * |---|---|
 * | `RealtimeError` | its own |
 * | `HttpException` below 500, 503, 504 | by its status; with validation messages `validation_failed` and `details[]` |
 * | `WsException` | `code` of its error object, else by its `status`, else `bad_request` |
 * | `ValidationError[]` of class-validator | `validation_failed` |
 * | anything else | `internal` with an id; the log has the id, the stack and the connection (G25) |
 */
export class ErrorMapper {
  constructor(
    private readonly logger: EngineLogger,
    private readonly entropy: Entropy,
  ) {}

  toRealtimeError(error: unknown, origin: ErrorOrigin): RealtimeError {
    if (error instanceof RealtimeError) return error;
    if (error instanceof WsException) return this.fromBody(error.getError(), error);
    const code = error instanceof HttpException ? codeOfStatus(error.getStatus()) : 'internal';
    if (error instanceof HttpException && code !== 'internal') return fromHttp(error, code);
    if (Array.isArray(error) && error.length > 0 && error.every(isValidationError))
      return new RealtimeError('validation_failed', undefined, { details: validationDetails(error) ?? [] });
    return this.internal(error, origin);
  }

  /** Maps the text or object that a `WsException` or a gateway's filter carries. */
  fromBody(body: unknown, cause?: unknown): RealtimeError {
    if (typeof body === 'string') return new RealtimeError(codeOfText(body), body, { cause });
    const details = validationDetails(body);
    if (details !== undefined) return new RealtimeError('validation_failed', undefined, { details, cause });
    if (!isRecord(body)) return new RealtimeError('bad_request', undefined, { cause });
    const message = typeof body.message === 'string' ? body.message : undefined;
    return new RealtimeError(codeOfBody(body, message), message, { cause });
  }

  private internal(error: unknown, { source, connectionId }: ErrorOrigin): RealtimeError {
    const id = this.entropy.id();
    const where = connectionId === undefined ? source : `${source} on connection ${connectionId}`;
    this.logger.error(`Error ${id} in ${where}`, error);
    return new RealtimeError('internal', `Internal error ${id}`);
  }
}

function fromHttp(error: HttpException, code: ErrorCode): RealtimeError {
  const isValidation = code === 'bad_request' || code === 'validation_failed';
  const details = isValidation ? validationDetails(error.getResponse()) : undefined;
  return details === undefined
    ? new RealtimeError(code, error.message, { cause: error })
    : new RealtimeError('validation_failed', undefined, { details, cause: error });
}

/** Nest refuses with this text where a guard returns `false`, and nowhere else. */
function codeOfText(text: string): ErrorCode {
  return text === 'Forbidden resource' ? 'forbidden' : 'bad_request';
}

function codeOfBody(body: Readonly<Record<string, unknown>>, message: string | undefined): ErrorCode {
  if (isErrorCode(body.code)) return body.code;
  const status = body.statusCode ?? body.status;
  if (typeof status === 'number') return codeOfStatus(status);
  return message === undefined ? 'bad_request' : codeOfText(message);
}

// Where several codes share a status, this is what an application means by it. The engine's own refusals have their codes
// already.
const CODE_BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'bad_request',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'unknown_channel',
  408: 'timeout',
  409: 'conflict',
  410: 'unknown_channel',
  413: 'message_too_large',
  422: 'validation_failed',
  429: 'rate_limited',
  503: 'unavailable',
  504: 'timeout',
};

/** The code for an HTTP status: any other 4xx is `bad_request`, everything else is `internal`. */
function codeOfStatus(status: number): ErrorCode {
  return CODE_BY_STATUS[status] ?? (status >= 400 && status < 500 ? 'bad_request' : 'internal');
}
