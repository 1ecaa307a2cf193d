import { messageOf } from '../../protocol/error-body.js';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../core/ports/clock.js';
import type { Refusal } from '../../core/ports/transport-host.js';
import type { ErrorCode } from '../../protocol/error-codes.js';
import type { RealtimeError } from '../../protocol/realtime-error.js';

/** How long a refused client may keep its socket open, in milliseconds. */
const LINGER_MS = 2_000;

/** Tells the client nothing of what failed here (G25); a later attempt may succeed. */
export const TRY_LATER: Refusal = { status: 503, message: 'Try again later', retryAfterMs: 1_000 };

/** The answer to a request that is pipelined behind one that has none yet. */
export const ONE_BY_ONE: Refusal = { status: 429, message: 'One request after another', retryAfterMs: 1_000 };

/** The HTTP refusal with the meaning of an error that was thrown before the upgrade (P18). */
export function refusalOf(error: RealtimeError): Refusal {
  const { code, retryAfterMs } = error;
  const message = messageOf(error);
  const retry = retryAfterMs === undefined ? {} : { retryAfterMs };
  switch (code) {
    case 'unauthorized':
    case 'token_expired':
      return { status: 401, message, code };
    case 'forbidden':
    case 'banned':
      return { status: 403, message, code, ...retry };
    case 'refused':
      // Final unless the application says when to come back.
      return retryAfterMs === undefined ? { status: 403, message, code } : { ...TRY_LATER, ...retry };
    case 'rate_limited':
      return { status: 429, message, code, retryAfterMs: retryAfterMs ?? 1_000 };
    case 'message_too_large':
      return { status: 413, message, code };
    case 'bad_request':
    case 'validation_failed':
      return { status: 400, message, code };
    default:
      return { ...TRY_LATER, ...retry };
  }
}

/** Codes of refusals that end a client, where they have none of their own: a proxy's have none (P18). */
const FINAL: Readonly<Record<number, ErrorCode>> = { 401: 'unauthorized', 403: 'forbidden' };

/** Body of a refusal, JSON (P18). */
export function refusalBody(refusal: Refusal): string {
  const { status, message, retryAfterMs } = refusal;
  const { code = FINAL[status] } = refusal;
  return JSON.stringify({
    statusCode: status,
    message,
    ...(code === undefined ? {} : { code }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs: wholeMs(retryAfterMs) }),
  });
}

/**
 * Headers that belong to a refusal wherever it is answered, at the upgrade or by a route (P18): `Retry-After`
 * in whole seconds, rounded up; what RFC 9110 demands of 401 (§11.6.1) and 426 (§15.5.22), and RFC 6455 §4.4
 * of a wrong version.
 *
 * @param allow methods of the path, for 405.
 */
export function refusalHeaders(refusal: Refusal, allow = 'GET, OPTIONS'): Record<string, string> {
  const headers: Record<string, string> = {
    'Content-Type': 'application/json; charset=utf-8',
    'Cache-Control': 'no-store',
  };
  if (refusal.retryAfterMs !== undefined) {
    headers['Retry-After'] = String(Math.ceil(wholeMs(refusal.retryAfterMs) / 1_000));
  }
  if (refusal.status === 405) headers['Allow'] = allow;
  if (refusal.status === 401) headers['WWW-Authenticate'] = 'Bearer';
  if (refusal.status === 426) {
    headers['Upgrade'] = 'websocket';
    headers['Sec-WebSocket-Version'] = '13';
  }
  return headers;
}

/**
 * Answers an upgrade with plain HTTP and ends the socket; it is destroyed when the client does not close its side within 2 s.
 * The caller has put an `'error'` listener on the socket.
 */
export function writeRefusal(socket: Duplex, refusal: Refusal, clock: Clock): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = refusalBody(refusal);
  const headers = {
    Connection: refusal.status === 426 ? 'close, Upgrade' : 'close',
    ...refusalHeaders(refusal),
    'Content-Length': String(Buffer.byteLength(body)),
  };
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const timer = clock.schedule(LINGER_MS, () => socket.destroy());
  socket.once('close', () => timer.cancel());
  socket.end(`HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}\r\n${head.join('')}\r\n${body}`);
  // Unread bytes would turn the close into a reset, which can overtake the answer; reading also notices the
  // client's end.
  socket.resume();
}

export function wholeMs(delay: number): number {
  return Number.isFinite(delay) ? Math.max(0, Math.ceil(delay)) : 0;
}
