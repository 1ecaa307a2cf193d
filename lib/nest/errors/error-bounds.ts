import type { EngineLogger } from '../../core/ports/logger.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { toWireValue } from '../../protocol/wire-value.js';

/** Most characters of an application's own code. */
const MAX_REASON_LENGTH = 128;
/** Most characters of an application's message. */
const MAX_MESSAGE_LENGTH = 2_048;
/** Most bytes of an error's `data`, as JSON. */
const MAX_ERROR_DATA_BYTES = 4 * 1024;

/**
 * The error as it may be sent: texts that are too long are cut, and `data` that is too large, or no wire value, is left out, so
 * that the client gets at least the code. The log says which handler threw it.
 */
export function withinBounds(error: RealtimeError, source: string, logger: EngineLogger): RealtimeError {
  const { code, message, reason, data, retryAfterMs, details, cause } = error;
  const problem = data === undefined ? undefined : problemOf(data);
  const isTooLong = message.length > MAX_MESSAGE_LENGTH || (reason?.length ?? 0) > MAX_REASON_LENGTH;
  const hasTime = retryAfterMs === undefined || (Number.isFinite(retryAfterMs) && retryAfterMs >= 0);
  if (problem === undefined && !isTooLong && hasTime) return error;
  if (problem !== undefined)
    logger.warn(`The error "${reason ?? code}" of ${source} was sent without its data: ${problem}`);
  return new RealtimeError(code, {
    message: message.slice(0, MAX_MESSAGE_LENGTH),
    reason: reason?.slice(0, MAX_REASON_LENGTH),
    data: problem === undefined ? data : undefined,
    retryAfterMs: hasTime ? retryAfterMs : undefined,
    details,
    cause,
  });
}

/** Why a value cannot be the `data` of an error; `undefined` if it can. */
function problemOf(data: unknown): string | undefined {
  try {
    const bytes = Buffer.byteLength(JSON.stringify(toWireValue(data, 'data')) ?? '');
    if (bytes <= MAX_ERROR_DATA_BYTES) return undefined;
    return `it has ${bytes} bytes, and ${MAX_ERROR_DATA_BYTES} are allowed`;
  } catch (error) {
    return (error as Error).message;
  }
}
