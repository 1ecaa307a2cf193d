import { CLOSE_CODES, type CloseName } from '../protocol/close-codes.js';
import { isErrorCode, type ErrorCode } from '../protocol/error-codes.js';
import { RealtimeError, type ErrorDetail } from '../protocol/realtime-error.js';
import type { ClientStatus } from './state.js';

/**
 * The error of an `error` frame. A code that this version does not know keeps its name in the message and gets
 * the nearest code that agrees about retrying.
 */
export function errorFromFrame(payload: unknown): RealtimeError {
  const body = (typeof payload === 'object' && payload !== null ? payload : {}) as Record<string, unknown>;
  const { code, message, retryable, retryAfterMs, details } = body;
  const text = typeof message === 'string' ? message : undefined;
  const options = {
    ...(typeof retryAfterMs === 'number' && Number.isFinite(retryAfterMs) ? { retryAfterMs } : {}),
    ...(Array.isArray(details) ? { details: details as ErrorDetail[] } : {}),
  };
  if (isErrorCode(code)) return new RealtimeError(code, text, options);
  const name = typeof code === 'string' ? code : 'an error without a code';
  return new RealtimeError(
    retryable === true ? 'unavailable' : 'internal',
    text === undefined ? name : `${name}: ${text}`,
    options,
  );
}

const CODE_OF_CLOSE: Partial<Record<CloseName, ErrorCode>> = {
  unauthorized: 'unauthorized',
  forbidden: 'forbidden',
  banned: 'banned',
  kicked: 'forbidden',
  unsupported_version: 'bad_request',
  protocol_error: 'bad_request',
  message_too_large: 'message_too_large',
  rate_abuse: 'rate_limited',
};

/** What a command fails with that was never sent because the client is closed. */
export function errorOfClosed(status: ClientStatus): RealtimeError {
  const code = (status.name === undefined ? undefined : CODE_OF_CLOSE[status.name]) ?? 'unavailable';
  const name = status.name === undefined || status.name === 'normal' ? undefined : status.name;
  const why = status.reason ?? (name === undefined ? 'close() was called' : CLOSE_CODES[name].meaning);
  return new RealtimeError(
    code,
    `The client is closed (${status.code ?? 1000}): ${sentence(why)} Call connect() to open it again.`,
  );
}

/** What a command fails with whose answer can no longer come (P17). */
export function outcomeUnknown(what: string, cause?: unknown): RealtimeError {
  return new RealtimeError(
    'outcome_unknown',
    `${sentence(what)} Whether the server ran it is unknown: read the state before doing it again.`,
    cause === undefined ? {} : { cause },
  );
}

function sentence(text: string): string {
  return text.endsWith('.') ? text : `${text}.`;
}
