import { ERROR_CODES, isErrorCode, type ErrorCode } from './error-codes.js';

/** One finding of a validation: where, and what is wrong there. */
export interface ErrorDetail {
  /** Path of the field, dotted, e.g. `payload.position.seq`. */
  readonly path: string;
  /** What is wrong there, in words. */
  readonly message: string;
}

/** What an error may carry besides its code. */
export interface RealtimeErrorOptions {
  /** What happened, in words, for people. Default: the code; a client is told what it means. */
  readonly message?: string | undefined;
  /** The application's own code, for programs; at most 128 characters. Default: none, or the first argument if it is no code. */
  readonly reason?: string | undefined;
  /** What a program needs beside it: a wire value, at most 4 KiB of JSON; a larger one is left out, and the log says so. */
  readonly data?: unknown;
  /** When the same command may succeed, in milliseconds from now. It makes `refused` retryable. */
  readonly retryAfterMs?: number | undefined;
  /** What is wrong and where; an empty list counts as none. */
  readonly details?: readonly ErrorDetail[] | undefined;
  /** The error that caused it, as in `Error`; it never crosses the wire. */
  readonly cause?: unknown;
}

/**
 * An error that crosses the wire. A handler throws it to say why it refuses: with a code of its own, which reaches the client as
 * `reason` of the code `refused`, or with one of the library's codes. The client's promise rejects with the same class.
 *
 * A handler's error is the answer to its command. The client sends the command again only when `retryAfterMs` says when.
 *
 * @example throw new RealtimeError('room_full', { message: 'The room is full', data: { max: 20 } });
 * @example throw new RealtimeError('muted', 'You are muted in this room', { retryAfterMs: 60_000 });
 */
export class RealtimeError extends Error {
  /** Always `RealtimeError`: tells it from other errors where two copies of the package are loaded. */
  override readonly name = 'RealtimeError';
  /** Stable, for programs. The remedy of each code is in docs/errors.md. */
  readonly code: ErrorCode;
  /** The application's own code; absent when it has none. */
  readonly reason?: string;
  /** What the application says beside it. */
  readonly data?: unknown;
  /** Whether the same command can succeed later; follows from the code. Of `refused`: whether `retryAfterMs` is there. */
  readonly retryable: boolean;
  /** When it can, in milliseconds from now, if that is known. */
  readonly retryAfterMs?: number;
  /** What is wrong and where, of `bad_request` and `validation_failed`; absent when there is no finding (P7a). */
  readonly details?: readonly ErrorDetail[];
  /** Set by the client: the channel of the command that failed. */
  declare readonly channel?: string;
  /** Set by the client: the event that was published, signalled or requested. */
  declare readonly event?: string;

  /**
   * @param code a code of the catalogue; any other text becomes the `reason` of `refused`.
   * @param message what happened, for people, or the options at once. Default: the code; a client is told what it means.
   */
  constructor(
    code: ErrorCode | (string & {}),
    message?: string | RealtimeErrorOptions,
    options: RealtimeErrorOptions = {},
  ) {
    const more = typeof message === 'object' ? message : { message, ...options };
    const known = isErrorCode(code) ? code : 'refused';
    const { cause, retryAfterMs, details, data, reason = known === code ? undefined : code } = more;
    super(more.message ?? known, cause === undefined ? undefined : { cause });
    this.code = known;
    this.retryable = ERROR_CODES[known].retryable || (known === 'refused' && retryAfterMs !== undefined);
    if (reason !== undefined) this.reason = reason;
    if (data !== undefined) this.data = data;
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs;
    if (details !== undefined && details.length > 0) this.details = details;
  }
}
