import { HttpException } from '@nestjs/common';
import { WsException } from '@nestjs/websockets';
import type { Entropy } from '../../core/ports/entropy.js';
import type { EngineLogger, LogSubject } from '../../core/ports/logger.js';
import { messageOf as meaningfulMessage } from '../../protocol/error-body.js';
import type { ErrorCode } from '../../protocol/error-codes.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { isRecord } from '../../protocol/validation/checks.js';
import type { RealtimeAction } from '../decorators/realtime-context.js';
import { dataOf, isError, messageOf, nameOfStatus, ownCodeOf, retryAfterOf } from './exception-body.js';
import { withinBounds } from './error-bounds.js';
import { issuesOf } from './pipe-issues.js';
import { isValidationError, validationDetails } from './validation-details.js';

/** Where an error came from. Clients choose nothing in it (G23). */
export interface ErrorOrigin {
  /** Class and method, for the log. */
  readonly source: string;
  /** The connection that it happened on, for the log. */
  readonly about?: LogSubject;
  /** What the error answers; absent where nobody waits for it. */
  readonly action?: RealtimeAction | 'authenticate';
  /** What a guard or filter wrote as `Retry-After`, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
}

/** What admits a client: an error there has a code for credentials, which would mean something else later. */
const ADMISSIONS: readonly unknown[] = ['authenticate', 'connect'];

/** Commands whose handler does something: its error is their answer, and the client does not send them again by itself. */
const ACTS: readonly unknown[] = ['publish', 'request', 'signal', undefined];

/** Codes that the application may give in a handler. The others say what the library found, and clients act on them. */
const OF_HANDLERS: ReadonlySet<ErrorCode> = new Set([
  'bad_request',
  'validation_failed',
  'forbidden',
  'refused',
  'banned',
  'muted',
  'message_too_large',
  'internal',
]);

/** The same where a client is admitted. */
const OF_ADMISSIONS: ReadonlySet<ErrorCode> = new Set([
  'validation_failed',
  'unauthorized',
  'token_expired',
  'forbidden',
  'refused',
  'banned',
  'muted',
  'rate_limited',
  'unavailable',
  'timeout',
  'internal',
]);

/** HTTP statuses, and codes, of what can be otherwise a moment later. */
const TEMPORARY: ReadonlySet<number | ErrorCode> = new Set<number | ErrorCode>([
  408,
  425,
  429,
  503,
  504,
  'rate_limited',
  'unavailable',
  'timeout',
]);

/** When a client asks again after something temporary that says no time, in milliseconds. */
const TRY_AGAIN_MS = 1_000;

/** What is known of an application's error. */
interface GivenError {
  readonly status?: number | undefined;
  /** What it carries: the response of an `HttpException`, the object of a `WsException`, the body that a filter wrote. */
  readonly body: unknown;
  readonly message: string | undefined;
  readonly cause: unknown;
}

/**
 * Maps what application code throws to an error of the protocol (§6). A `RealtimeError` chooses a code, and only one that is
 * the application's to give. Everything else that is meant for clients has the code below, with `reason` and `data`.
 *
 * | thrown | code |
 * |---|---|
 * | `RealtimeError` | its own; one that says what the library found becomes `refused` with that code as the reason |
 * | `HttpException` 400 or 422 with validation messages | `validation_failed` and `details[]` |
 * | `HttpException` 401 | `unauthorized` where a client is admitted, else `forbidden` |
 * | `HttpException` 403 | `forbidden` |
 * | other `HttpException` below 500, 503, 504 | `refused` |
 * | `WsException` | `refused`; as the `HttpException` where it carries a `status` |
 * | `ValidationError[]` of class-validator | `validation_failed` |
 * | anything else | `internal` with an id; the log has the id, the stack and the connection (G25) |
 */
export class ErrorMapper {
  constructor(
    private readonly logger: EngineLogger,
    private readonly entropy: Entropy,
  ) {}

  toRealtimeError(error: unknown, origin: ErrorOrigin): RealtimeError {
    return withinBounds(
      this.meant(error, origin) ?? this.internal(error, origin),
      origin.source,
      this.logger,
    );
  }

  /** Maps the text or object that a gateway's filter returns or emits. */
  fromBody(body: unknown, origin: ErrorOrigin, cause?: unknown): RealtimeError {
    return withinBounds(errorFor({ ...carried(body), cause }, origin), origin.source, this.logger);
  }

  /** Maps what a filter of HTTP wrote to the response; `undefined` where that is no refusal. */
  fromResponse(
    status: number,
    body: unknown,
    origin: ErrorOrigin,
    cause: unknown,
  ): RealtimeError | undefined {
    if (!isForClients(status)) return undefined;
    const message = typeof body === 'string' ? body : messageOf(body);
    return withinBounds(errorFor({ status, body, message, cause }, origin), origin.source, this.logger);
  }

  /** The error for the client; `undefined` where it is not meant for clients. */
  private meant(error: unknown, origin: ErrorOrigin): RealtimeError | undefined {
    if (error instanceof RealtimeError) return chosen(error, origin);
    if (error instanceof WsException) return errorFor({ ...carried(error.getError()), cause: error }, origin);
    if (error instanceof HttpException) {
      const [status, body] = [error.getStatus(), error.getResponse() as unknown];
      // Nest keeps the text of an error that is given as the response from clients.
      const message = isError(body) ? undefined : error.message;
      return isForClients(status) ? errorFor({ status, body, message, cause: error }, origin) : undefined;
    }
    if (!Array.isArray(error) || error.length === 0 || !error.every(isValidationError)) return undefined;
    return new RealtimeError('validation_failed', { details: validationDetails(error) });
  }

  private internal(error: unknown, { source, about }: ErrorOrigin): RealtimeError {
    const id = this.entropy.id();
    const where = about === undefined ? source : `${source} on connection ${about.connection}`;
    this.logger.error(`Error ${id} in ${where}`, error, about);
    return new RealtimeError('internal', `Internal error ${id}`);
  }
}

/** The application's own choice. A code that is not the application's to give is its reason. */
function chosen(error: RealtimeError, { action }: ErrorOrigin): RealtimeError {
  const { code, data, details } = error;
  const isAdmission = ADMISSIONS.includes(action);
  if ((isAdmission ? OF_ADMISSIONS : OF_HANDLERS).has(code)) return error;
  const { reason = code, retryAfterMs = TEMPORARY.has(code) ? askAgain(action) : undefined } = error;
  const becomes = code === 'unauthorized' ? 'forbidden' : 'refused';
  return new RealtimeError(becomes, {
    reason,
    message: meaningfulMessage(error),
    data,
    details,
    retryAfterMs,
    cause: error,
  });
}

function errorFor({ status, body, message, cause }: GivenError, origin: ErrorOrigin): RealtimeError {
  const isValidation = status === undefined || status === 400 || status === 422;
  const details = isValidation ? validationDetails(body, issuesOf(cause)) : undefined;
  const own = ownCodeOf(body, status);
  if (details !== undefined) return new RealtimeError('validation_failed', { details, reason: own, cause });
  const code = codeOf(status, origin);
  const reason = own ?? nameOfStatus(status);
  const isTemporary = status !== undefined && TEMPORARY.has(status);
  const advised = retryAfterOf(body) ?? (isTemporary ? origin.retryAfterMs : undefined);
  return new RealtimeError(code, {
    message,
    reason: reason === code ? undefined : reason,
    data: dataOf(body),
    retryAfterMs: advised ?? (isTemporary ? askAgain(origin.action) : undefined),
    cause,
  });
}

function codeOf(status: number | undefined, { action }: ErrorOrigin): ErrorCode {
  if (status === 401 && ADMISSIONS.includes(action)) return 'unauthorized';
  return status === 401 || status === 403 ? 'forbidden' : 'refused';
}

/** What a `WsException`, or the filter of a gateway, carries. Of an `Error`, the status at most: its text is for the log. */
function carried(body: unknown): Omit<GivenError, 'cause'> {
  if (typeof body === 'string') return { body: undefined, message: body };
  if (isError(body)) {
    const given = body instanceof HttpException ? body.getStatus() : undefined;
    return { body, message: undefined, status: given };
  }
  const status = isRecord(body) ? (body.statusCode ?? body.status) : undefined;
  return { body, message: messageOf(body), status: typeof status === 'number' ? status : undefined };
}

/** Whether an HTTP error of this status is one that the application tells its clients. */
function isForClients(status: number): boolean {
  return (status >= 400 && status < 500) || TEMPORARY.has(status);
}

/** The delay after which the client asks again for something that only reads; `undefined` where it must not by itself. */
function askAgain(action: ErrorOrigin['action']): number | undefined {
  return ACTS.includes(action) ? undefined : TRY_AGAIN_MS;
}
