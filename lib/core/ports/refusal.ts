import type { RealtimeError } from '../../protocol/realtime-error.js';
import type { Refusal } from './transport-host.js';

/** The HTTP refusal with the meaning of an error that came before the upgrade (P18). */
export function refusalOf(error: RealtimeError): Refusal {
  const refusal = statusOf(error);
  return refusal.status === 503 ? refusal : { ...refusal, code: error.code };
}

function statusOf(error: RealtimeError): Refusal {
  const retry = error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs };
  switch (error.code) {
    case 'unauthorized':
    case 'token_expired':
      return { status: 401, message: error.message };
    case 'forbidden':
    case 'banned':
      return { status: 403, message: error.message, ...retry };
    case 'rate_limited':
      return { status: 429, message: error.message, retryAfterMs: error.retryAfterMs ?? 1_000 };
    case 'message_too_large':
      return { status: 413, message: error.message };
    case 'bad_request':
    case 'validation_failed':
      return { status: 400, message: error.message };
    default:
      // The handler's own failure is not the client's business (G25), and coming back later may help.
      return { status: 503, message: 'Try again later', retryAfterMs: error.retryAfterMs ?? 1_000 };
  }
}
