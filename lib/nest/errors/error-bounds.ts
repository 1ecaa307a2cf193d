import type { EngineLogger } from '../../core/ports/logger.js';
import { RealtimeError, type ErrorDetail } from '../../protocol/realtime-error.js';
import { fromWireValue, toWireValue } from '../../protocol/wire-value.js';

/** Most characters of an application's own code. */
const MAX_REASON_LENGTH = 128;
/** Most characters of an application's message. */
const MAX_MESSAGE_LENGTH = 2_048;
/** Most bytes of an error's `data`, as JSON. */
const MAX_ERROR_DATA_BYTES = 4 * 1024;
/** Most characters of the path and of the text of one finding. */
const MAX_DETAIL_LENGTH = 500;
/** Most bytes of an error's `details`, as JSON. */
const MAX_DETAILS_BYTES = 16 * 1024;

/**
 * The error as it may be sent: texts that are too long are cut, findings that do not fit are left out, and so is `data` that is
 * too large, or no wire value: the client gets at least the code. The log says which handler threw it. `data` and `details` are
 * copies: what was measured is what is sent.
 */
export function withinBounds(error: RealtimeError, source: string, logger: EngineLogger): RealtimeError {
  const { code, message, reason, data, retryAfterMs, details, cause } = error;
  const isTooLong = message.length > MAX_MESSAGE_LENGTH || (reason?.length ?? 0) > MAX_REASON_LENGTH;
  const hasTime = retryAfterMs === undefined || (Number.isFinite(retryAfterMs) && retryAfterMs >= 0);
  if (data === undefined && details === undefined && !isTooLong && hasTime) return error;
  const { copy, problem } = copyOf(data);
  if (problem !== undefined)
    logger.warn(`The error "${reason ?? code}" of ${source} was sent without its data: ${problem}`);
  return new RealtimeError(code, {
    message: message.slice(0, MAX_MESSAGE_LENGTH),
    reason: reason?.slice(0, MAX_REASON_LENGTH),
    data: copy,
    retryAfterMs: hasTime ? retryAfterMs : undefined,
    details: details === undefined ? undefined : fitting(details),
    cause,
  });
}

/** The first findings that fit, with texts that are cut. */
function fitting(details: readonly ErrorDetail[]): readonly ErrorDetail[] {
  const sent: ErrorDetail[] = [];
  // The brackets of the list, and below a comma for each.
  let bytes = 1;
  for (const { path, message } of details) {
    const detail = { path: cut(path), message: cut(message) };
    bytes += Buffer.byteLength(JSON.stringify(detail)) + 1;
    if (bytes > MAX_DETAILS_BYTES) break;
    sent.push(detail);
  }
  return sent;
}

function cut(text: unknown): string {
  return String(text).slice(0, MAX_DETAIL_LENGTH);
}

/** The `data` of an error as it is now, or why it cannot be sent. */
function copyOf(data: unknown): { readonly copy?: unknown; readonly problem?: string } {
  try {
    const value = toWireValue(data, 'data');
    const bytes = Buffer.byteLength(JSON.stringify(value) ?? '');
    // Converted again when it is sent, so nothing in it may be escaped already.
    if (bytes <= MAX_ERROR_DATA_BYTES) return { copy: fromWireValue(value) };
    return { problem: `it has ${bytes} bytes, and ${MAX_ERROR_DATA_BYTES} are allowed` };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}
