import type { Refusal } from '../../core/ports/transport-host.js';
import { CLOSE_CODES } from '../../protocol/close-codes.js';
import type { ErrorBody } from '../../protocol/error-body.js';
import { CLOSE_MEANINGS } from '../../protocol/meanings.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { refusalOf, TRY_LATER } from '../http/refusal.js';

/**
 * The refusal of a session that ended before `welcome`, with this close code.
 *
 * @param error that answered `hello`; left out where nothing did.
 */
export function refusalAfter(code: number, retryAfterMs: number, error: ErrorBody | undefined): Refusal {
  const wait = retryAfterMs > 0 ? { retryAfterMs } : {};
  if (error !== undefined) {
    const message = error.code === 'unauthorized' ? NO_CREDENTIALS : error.message;
    return refusalOf(new RealtimeError(error.code, message, { ...error, ...wait }));
  }
  switch (code) {
    case CLOSE_CODES.too_many_connections.code:
      return { ...TRY_LATER, status: 429, message: CLOSE_MEANINGS.too_many_connections, ...wait };
    case CLOSE_CODES.banned.code:
      return { status: 403, message: CLOSE_MEANINGS.banned, code: 'banned', ...wait };
    case CLOSE_CODES.kicked.code:
      return { status: 403, message: CLOSE_MEANINGS.kicked, code: 'forbidden' };
    default:
      return { ...TRY_LATER, ...wait };
  }
}

const NO_CREDENTIALS =
  'No credentials that verify: send "Authorization: Bearer <token>", or a cookie from a page that may connect';
