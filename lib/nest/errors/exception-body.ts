import { STATUS_CODES } from 'node:http';
import { types } from 'node:util';
import { HttpStatus } from '@nestjs/common';
import { isRecord } from '../../protocol/validation/checks.js';

/** Fields of an error's body that have their own place in the answer, or repeat it. */
const PLACED: ReadonlySet<string> = new Set(['statusCode', 'message', 'code', 'errorCode', 'retryAfterMs']);

/**
 * Whether a body, or a finding, is an `Error`, also of another realm. Its texts and fields are for the log: they may hold
 * addresses and passwords.
 */
export function isError(value: unknown): value is Error {
  return value instanceof Error || types.isNativeError(value);
}

/** The `message` of an error's body, if it has one that people can read. */
export function messageOf(body: unknown): string | undefined {
  return isRecord(body) && !isError(body) && typeof body.message === 'string' ? body.message : undefined;
}

/** The application's own code in an error's body: `code`, `errorCode`, or an `error` that is not Nest's text for the status. */
export function ownCodeOf(body: unknown, status: number | undefined): string | undefined {
  if (!isRecord(body) || isError(body)) return undefined;
  const given = [body.code, body.errorCode, isStatusText(body, status) ? undefined : body.error];
  const own = given.find(
    (one): one is string | number => (typeof one === 'string' && one !== '') || typeof one === 'number',
  );
  return own === undefined ? undefined : String(own);
}

/** The name of a status in lower case, e.g. `not_found`. */
export function nameOfStatus(status: number | undefined): string | undefined {
  return status === undefined ? undefined : (HttpStatus[status]?.toLowerCase() ?? `http_${status}`);
}

/** What an error's body says beside code and message; `undefined` where that is nothing. */
export function dataOf(body: unknown): unknown {
  if (body === null || typeof body !== 'object' || isError(body)) return undefined;
  if (!isRecord(body)) return body;
  // Nest echoes the client's message in `cause` of the errors that its filter emits.
  const isEmitted = body.status === 'error';
  const rest = Object.entries(body).filter(([key, value]) => {
    if (key === 'message') return typeof value !== 'string';
    if (key === 'code') return typeof value === 'object';
    if (key === 'status') return typeof value !== 'number' && !isEmitted;
    if (key === 'error') return typeof value !== 'string';
    if (key === 'cause') return !isEmitted;
    return !PLACED.has(key);
  });
  return rest.length === 0 ? undefined : Object.fromEntries(rest);
}

/** When the same command may succeed, as an error's body says; in milliseconds. */
export function retryAfterOf(body: unknown): number | undefined {
  const given = isRecord(body) && !isError(body) ? body.retryAfterMs : undefined;
  return typeof given === 'number' ? given : undefined;
}

/** Whether `error` is only Nest's own text for the status. */
function isStatusText({ error }: Record<string, unknown>, status: number | undefined): boolean {
  if (typeof error !== 'string' || status === undefined) return false;
  return error.toLowerCase() === STATUS_CODES[status]?.toLowerCase();
}
