import { docsOf, type ErrorCode } from './error-codes.js';
import { ERROR_MEANINGS } from './meanings.js';
import { omitUndefined } from './omit-undefined.js';
import type { ErrorDetail, RealtimeError } from './realtime-error.js';

/** Body of an `error` frame (protocol §6). */
export interface ErrorBody {
  /** Stable, for programs. */
  readonly code: ErrorCode;
  /** What happened, in words, for people; may change with any version. */
  readonly message: string;
  /** Whether the same command can succeed later; follows from the code. Of `refused`: whether `retryAfterMs` is there. */
  readonly retryable: boolean;
  /** When it can, in milliseconds from now, if that is known. */
  readonly retryAfterMs?: number;
  /** What is wrong and where, of `bad_request` and `validation_failed` (P6b); left out without a finding. */
  readonly details?: readonly ErrorDetail[];
  /** The application's own code, at most 128 characters (P6f). */
  readonly reason?: string;
  /** What the application says beside it, a wire value of at most 4 KiB of JSON (P6f). */
  readonly data?: unknown;
  /** Where the code is explained, with the remedy: a file of this package and its heading. */
  readonly docs: string;
}

/** What an error says to people: of one that was given no message, what its code means. */
export function messageOf({ code, message }: Pick<RealtimeError, 'code' | 'message'>): string {
  return message === code ? ERROR_MEANINGS[code] : message;
}

/** The body of the `error` frame for an error. */
export function errorBody(error: RealtimeError): ErrorBody {
  const { code, retryable, retryAfterMs, details, reason, data } = error;
  return omitUndefined({
    code,
    message: messageOf(error),
    retryable,
    retryAfterMs: retryAfterMs === undefined ? undefined : Math.ceil(retryAfterMs),
    details,
    reason,
    data,
    docs: docsOf(code),
  });
}
