import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Session } from '../session/session.js';

/**
 * The answer to a command that only asks, when it failed: a database that is away for a moment must not cost a client its
 * channel. It learns no more than of `internal` (P6d), and no delay: all clients would come back at the same moment.
 */
export function askAgain(session: Session, error: unknown): unknown {
  if (session.isClosed) return error;
  const { code, message, cause } = session.toClientError(error);
  return code === 'internal' ? new RealtimeError('unavailable', message, { cause }) : error;
}
