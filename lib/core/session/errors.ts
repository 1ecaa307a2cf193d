import type { ErrorCode } from '../../protocol/error-codes.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Entropy } from '../ports/entropy.js';
import type { EngineLogger } from '../ports/logger.js';

/** The code under which a client is told of an error. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof RealtimeError ? error.code : 'internal';
}

/**
 * What a client may learn of an error (G25): a `RealtimeError` as it is; of anything else only an id, under which
 * the log has the rest.
 */
export function toRealtimeError(
  error: unknown,
  context: { readonly entropy: Entropy; readonly logger: EngineLogger },
  connection: string,
): RealtimeError {
  if (error instanceof RealtimeError) return error;
  const id = context.entropy.id();
  context.logger.error(`Error ${id} on connection ${connection}`, error);
  return new RealtimeError('internal', `Internal error ${id}`, { cause: error });
}
