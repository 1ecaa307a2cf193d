import { HttpException } from '@nestjs/common';
import { WsException } from '@nestjs/websockets';
import type { Entropy } from '../../core/ports/entropy.js';
import type { EngineLogger } from '../../core/ports/logger.js';
import { isErrorCode, type ErrorCode } from '../../protocol/error-codes.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { isRecord } from '../../protocol/validation/checks.js';
import { codeOfStatus } from './http-status.js';
import { isValidationError, validationDetails } from './validation-details.js';

/** Where an error came from, for the log: nothing in it is chosen by a client (G23). */
export interface ErrorOrigin {
  /** Class and method. */
  readonly source: string;
  readonly connectionId?: string;
}

/**
 * Turns whatever application code throws into an error of the protocol (§6).
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
    return (
      this.fromHttp(error) ?? this.fromWs(error) ?? this.fromValidation(error) ?? this.internal(error, origin)
    );
  }

  private fromHttp(error: unknown): RealtimeError | undefined {
    if (!(error instanceof HttpException)) return undefined;
    const code = codeOfStatus(error.getStatus());
    if (code === 'internal') return undefined;
    const response: unknown = error.getResponse();
    if (code === 'bad_request' || code === 'validation_failed') {
      const details = validationDetails(response);
      if (details !== undefined)
        return new RealtimeError('validation_failed', undefined, { details, cause: error });
    }
    return new RealtimeError(code, error.message, { cause: error });
  }

  private fromWs(error: unknown): RealtimeError | undefined {
    if (!(error instanceof WsException)) return undefined;
    return this.fromBody(error.getError(), error);
  }

  /** An error in the form in which `WsException` and gateways' filters carry it: a text, or an object. */
  fromBody(body: unknown, cause?: unknown): RealtimeError {
    if (typeof body === 'string') return new RealtimeError(wordedCode(body), body, { cause });
    const details = validationDetails(body);
    if (details !== undefined) return new RealtimeError('validation_failed', undefined, { details, cause });
    if (!isRecord(body)) return new RealtimeError('bad_request', undefined, { cause });
    const message = typeof body.message === 'string' ? body.message : undefined;
    return new RealtimeError(bodyCode(body, message), message, { cause });
  }

  private fromValidation(error: unknown): RealtimeError | undefined {
    if (!Array.isArray(error) || error.length === 0 || !error.every(isValidationError)) return undefined;
    const details = validationDetails(error) ?? [];
    return new RealtimeError('validation_failed', undefined, { details });
  }

  private internal(error: unknown, { source, connectionId }: ErrorOrigin): RealtimeError {
    const id = this.entropy.id();
    const where = connectionId === undefined ? source : `${source} on connection ${connectionId}`;
    this.logger.error(`Error ${id} in ${where}`, error);
    return new RealtimeError('internal', `Internal error ${id}`);
  }
}

/** Nest says a guard's refusal with this text, and only with it. */
function wordedCode(text: string): ErrorCode {
  return text === 'Forbidden resource' ? 'forbidden' : 'bad_request';
}

function bodyCode(body: Readonly<Record<string, unknown>>, message: string | undefined): ErrorCode {
  if (isErrorCode(body.code)) return body.code;
  const status = body.statusCode ?? body.status;
  if (typeof status === 'number') return codeOfStatus(status);
  return message === undefined ? 'bad_request' : wordedCode(message);
}
