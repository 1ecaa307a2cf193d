import { UNREADABLE } from '../core/engine/audit/audit.js';
import { messageOf } from '../protocol/error-body.js';
import type { ErrorCode } from '../protocol/error-codes.js';
import { RealtimeError, type ErrorDetail } from '../protocol/realtime-error.js';

/** Advice where the error has none, in milliseconds. */
const RETRY_AFTER_MS = 1_000;

/** The body of every answer that is an error. */
export interface AdminErrorBody {
  readonly error: {
    /** Stable, for programs: a code of docs/errors.md. */
    readonly code: ErrorCode;
    /** What happened, in words, for people; may change with any version. */
    readonly message: string;
    /** What is wrong and where, of `bad_request`. */
    readonly details?: readonly ErrorDetail[];
    /** When the same request may succeed, in milliseconds; the header `Retry-After` has it in seconds. */
    readonly retryAfterMs?: number;
  };
}

/** An error as it is answered. */
export interface Failure {
  readonly status: number;
  readonly body: AdminErrorBody;
  /** Whether nobody expected it: it belongs in the log. */
  readonly isUnexpected: boolean;
}

const STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  bad_request: 400,
  validation_failed: 400,
  unauthorized: 401,
  token_expired: 401,
  forbidden: 403,
  refused: 403,
  banned: 403,
  muted: 403,
  unknown_channel: 404,
  conflict: 409,
  message_too_large: 413,
  rate_limited: 429,
  unavailable: 503,
  timeout: 504,
  outcome_unknown: 504,
};

/** Codes for the statuses of the application's guards and interceptors. */
const CODE: Readonly<Record<number, ErrorCode>> = {
  401: 'unauthorized',
  403: 'forbidden',
  409: 'conflict',
  413: 'message_too_large',
  429: 'rate_limited',
  503: 'unavailable',
  504: 'timeout',
};

/** What an error is answered with. Of one that nobody expected, nothing is told. */
export function failureOf(error: unknown): Failure {
  if (error instanceof RealtimeError) return ofRealtimeError(error);
  const status = statusOf(error);
  if (status === undefined || status >= 600) {
    const body = { error: { code: 'internal', message: 'It failed; the log of the node says why' } } as const;
    return { status: 500, body, isUnexpected: true };
  }
  const code = CODE[status] ?? (status >= 500 ? 'internal' : status === 400 ? 'bad_request' : 'refused');
  const message = (error as Error).message.slice(0, 1_000);
  const retryAfterMs = isTemporary(status) ? RETRY_AFTER_MS : undefined;
  return { status, body: bodyOf(code, message, undefined, retryAfterMs), isUnexpected: status === 500 };
}

/** The part of an answer about one item of several. */
export function errorOf(error: unknown): AdminErrorBody['error'] {
  return failureOf(error).body.error;
}

function ofRealtimeError(error: RealtimeError): Failure {
  const { code, details, retryAfterMs, reason } = error;
  const status = STATUS[code] ?? 500;
  const isPassing = isTemporary(status) && reason !== UNREADABLE;
  const advice = retryAfterMs ?? (isPassing ? RETRY_AFTER_MS : undefined);
  return {
    status,
    body: bodyOf(code, messageOf(error), details, advice === undefined ? undefined : Math.ceil(advice)),
    isUnexpected: status === 500,
  };
}

function bodyOf(
  code: ErrorCode,
  message: string,
  details: readonly ErrorDetail[] | undefined,
  retryAfterMs: number | undefined,
): AdminErrorBody {
  return {
    error: {
      code,
      message,
      ...(details === undefined ? {} : { details }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
  };
}

function isTemporary(status: number): boolean {
  return status === 429 || status === 503 || status === 504;
}

/** Not by class: the application may have a copy of Nest of its own. */
function statusOf(error: unknown): number | undefined {
  const { getStatus } = (error ?? {}) as { getStatus?: unknown };
  if (typeof getStatus !== 'function' || !(error instanceof Error)) return undefined;
  const status: unknown = getStatus.call(error);
  return typeof status === 'number' && status >= 400 ? status : undefined;
}
