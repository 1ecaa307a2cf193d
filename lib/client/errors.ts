import type { CloseName } from '../protocol/close-codes.js';
import { omitUndefined } from '../protocol/omit-undefined.js';
import { isErrorCode, type ErrorCode } from '../protocol/error-codes.js';
import { RealtimeError, type ErrorDetail } from '../protocol/realtime-error.js';
import { durationOf, recordOf, stringOf } from './received.js';
import type { ClientStatus } from './state.js';

/** The part of a command that its error names. */
export interface CommandNames {
  readonly channel?: string | undefined;
  readonly event?: string | undefined;
}

/** Adds to an error which command it is about; it has to be the only one. */
export function about(error: RealtimeError, { channel, event }: CommandNames): RealtimeError {
  return Object.assign(error, omitUndefined({ channel, event }));
}

/** @example describe({ type: 'signal', channel: 'rooms.1', event: 'typing' }) // 'signal "typing" on rooms.1' */
export function describe({ type, channel, event }: CommandNames & { readonly type: string }): string {
  return `${type}${event === undefined ? '' : ` "${event}"`}${channel === undefined ? '' : ` on ${channel}`}`;
}

/**
 * The error of an `error` message. A code that this version does not know keeps its name in the error's message and
 * becomes the nearest code that agrees about retrying.
 */
export function errorFromPayload(payload: unknown): RealtimeError {
  const { code, message, retryable, retryAfterMs, details, reason, data } = recordOf(payload);
  const text = stringOf(message);
  const options = {
    retryAfterMs: durationOf(retryAfterMs),
    details: Array.isArray(details) ? (details as ErrorDetail[]) : undefined,
    reason: stringOf(reason),
    data,
  };
  if (isErrorCode(code)) return new RealtimeError(code, text, options);
  const name = stringOf(code) ?? 'an error without a code';
  return new RealtimeError(
    retryable === true ? 'unavailable' : 'internal',
    text === undefined ? name : `${name}: ${text}`,
    options,
  );
}

/** The codes of those final closes whose name is no error code. */
const CODE_OF_CLOSE: Partial<Record<CloseName, ErrorCode>> = {
  kicked: 'forbidden',
  unsupported_version: 'bad_request',
  protocol_error: 'bad_request',
  rate_abuse: 'rate_limited',
};

/** The error of a command that was not sent because the client is closed. */
export function errorOfClosed(status: ClientStatus): RealtimeError {
  const name = status.name === 'normal' ? undefined : status.name;
  const why = status.reason ?? name ?? 'close() was called';
  return new RealtimeError(
    isErrorCode(name) ? name : ((name && CODE_OF_CLOSE[name]) ?? 'unavailable'),
    `The client is closed (${status.code ?? 1000}): ${sentence(why)} connect() opens it again.`,
    { cause: status.cause },
  );
}

/** The error of a command whose answer can no longer come (P17). */
export function outcomeUnknown(what: string, cause?: unknown): RealtimeError {
  return new RealtimeError(
    'outcome_unknown',
    `${sentence(what)} It may have been done: read the state before repeating it.`,
    { cause },
  );
}

function sentence(text: string): string {
  return text.endsWith('.') ? text : `${text}.`;
}

/** A ban from the channel that is no longer than this is waited for, in milliseconds; of a longer one the application is notified. */
const SHORT_BAN_MS = 600_000;

/** Whether a subscription comes back by itself after a ban. */
export function isShortBan(code: string, retryAfterMs: number): boolean {
  return code === 'banned' && retryAfterMs > 0 && retryAfterMs <= SHORT_BAN_MS;
}
