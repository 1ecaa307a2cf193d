import { closeActionOf, closeNameOf } from '../../protocol/close-codes.js';
import type { Envelope } from '../../protocol/envelope.js';
import { CLOSE_MEANINGS } from '../../protocol/meanings.js';

/**
 * What a WebSocket says with a close frame, as the last message of a connection over HTTP: an `error` where the client has to stop,
 * else a `bye` (P20f, P21).
 *
 * @param code as in protocol §7. @param ts milliseconds since the Unix epoch.
 */
export function lastWord(code: number, retryAfterMs: number, ts: number): Envelope {
  if (closeActionOf(code) !== 'stop')
    return { type: 'bye', ts, payload: { code, retryAfterMs, spreadMs: 0 } };
  const name = closeNameOf(code) ?? 'forbidden';
  const wait = retryAfterMs > 0 ? { retryAfterMs } : {};
  const payload = { code: name, message: CLOSE_MEANINGS[name], retryable: false, close: code, ...wait };
  return { type: 'error', ts, payload };
}
