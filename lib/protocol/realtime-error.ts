import { docsOf, ERROR_CODES, type ErrorCode } from './error-codes.js';
import { omitUndefined } from './omit-undefined.js';

/** One finding of a validation: where, and what is wrong there. */
export interface ErrorDetail {
  /** Path of the field, dotted, e.g. `payload.position.seq`. */
  readonly path: string;
  /** What is wrong there, in words. */
  readonly message: string;
}

/** Body of an `error` frame (protocol §6). */
export interface ErrorBody {
  /** Stable, for programs. */
  readonly code: ErrorCode;
  /** What happened, in words, for people; may change with any version. */
  readonly message: string;
  /** Whether the same command can succeed later; follows from the code. */
  readonly retryable: boolean;
  /** When it can, in milliseconds from now, if that is known. */
  readonly retryAfterMs?: number;
  /** What is wrong and where, of `bad_request` and `validation_failed` (P6b); left out without a finding. */
  readonly details?: readonly ErrorDetail[];
  /** Where the code is explained, with the remedy: a file of this package and its heading. */
  readonly docs: string;
}

/** What an error may carry besides its code and message. */
export interface RealtimeErrorOptions {
  /** When the same command may succeed, in milliseconds from now. */
  readonly retryAfterMs?: number;
  /** What is wrong and where; an empty list counts as none. */
  readonly details?: readonly ErrorDetail[];
  /** The error that caused it, as in `Error`; it never crosses the wire. */
  readonly cause?: unknown;
}

/**
 * An error with a stable code that crosses the wire. A handler throws it to choose the code that the client gets. Any
 * error other than this, an `HttpException` or a `WsException` becomes `internal`.
 *
 * @example throw new RealtimeError('muted', 'You are muted in this room', { retryAfterMs: 60_000 });
 */
export class RealtimeError extends Error {
  /** Always `RealtimeError`: tells it from other errors where two copies of the package are loaded. */
  override readonly name = 'RealtimeError';
  /** Whether the same command can succeed later; follows from the code. */
  readonly retryable: boolean;
  /** When it can, in milliseconds from now, if that is known. */
  readonly retryAfterMs?: number;
  /** What is wrong and where, of `bad_request` and `validation_failed`; absent when there is no finding (P7a). */
  readonly details?: readonly ErrorDetail[];

  constructor(
    /** Stable, for programs. The remedy of each code is in docs/errors.md. */
    readonly code: ErrorCode,
    message: string = ERROR_CODES[code].meaning,
    options: RealtimeErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.retryable = ERROR_CODES[code].retryable;
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
    if (options.details !== undefined && options.details.length > 0) this.details = options.details;
  }

  /** The body of the `error` frame. */
  toBody(): ErrorBody {
    const { code, message, retryable, retryAfterMs, details } = this;
    return omitUndefined({
      code,
      message,
      retryable,
      retryAfterMs: retryAfterMs === undefined ? undefined : Math.ceil(retryAfterMs),
      details,
      docs: docsOf(code),
    });
  }
}
