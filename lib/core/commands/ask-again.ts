import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Session } from '../session/session.js';

/** When a client asks again for what failed, in milliseconds; it adds a pause of its own that grows. */
const RETRY_AFTER_MS = 1_000;

/**
 * The answer to a command that only asks, when it failed: a database that is away for a moment must not cost a client its
 * channel. It learns no more than of `internal` (P6d).
 */
export function askAgain(session: Session, error: unknown): unknown {
  if (session.isClosed) return error;
  const { code, message, cause } = session.toClientError(error);
  if (code !== 'internal') return error;
  return new RealtimeError('unavailable', message, { retryAfterMs: RETRY_AFTER_MS, cause });
}
