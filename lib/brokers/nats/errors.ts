import { AppendError, LogUnavailableError } from '../replicated/ordered-log.js';

/** Codes of the JetStream API that matter here. */
export const NO_STREAM = 10_059;
export const STREAM_NAME_IN_USE = 10_058;
export const NO_MESSAGE = 10_037;
/** What no later attempt changes: a record above the stream's limit, a stream of another subject. */
const FINAL_CODES = [10_054, 10_060];

/** First line of an error, shortened: what servers say names no credential. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return (text.split('\n', 1)[0] ?? '').slice(0, 200);
}

/** The code of an answer of the JetStream API; `undefined` for every other error. */
export function apiCode(error: unknown): number | undefined {
  const { code, apiError } = error as { code?: unknown; apiError?: unknown };
  return typeof apiError === 'function' && typeof code === 'number' ? code : undefined;
}

/** What became of an append whose request failed. */
export function appendError(error: unknown): AppendError {
  if (error instanceof LogUnavailableError) return new AppendError('refused', error.message);
  const { name } = error as Error;
  const code = apiCode(error);
  const message = messageOf(error);
  if (code !== undefined)
    return new AppendError(
      'refused',
      `JetStream refused the record: ${message}`,
      !FINAL_CODES.includes(code),
    );
  // No server listens on the subject: the stream is missing, or has no leader. The client calls it "not enabled".
  if (name === 'JetStreamNotEnabled')
    return new AppendError('refused', 'No stream takes the record at the moment');
  if (name === 'PermissionViolationError')
    return new AppendError('refused', `NATS does not permit the append: ${message}`, false);
  if (name === 'InvalidArgumentError') return new AppendError('refused', message, false);
  return new AppendError('unknown', `NATS did not answer: ${message}`);
}

/** The error of the port for a question that failed. */
export function unavailable(error: unknown): LogUnavailableError {
  if (error instanceof LogUnavailableError) return error;
  return new LogUnavailableError(`NATS did not answer: ${messageOf(error)}`, { cause: error });
}
