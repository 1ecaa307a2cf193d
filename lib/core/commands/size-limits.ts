import { RealtimeError } from '../../protocol/realtime-error.js';
import { sizeOfValue } from '../ports/value-size.js';
import { weightOf } from '../ports/value-weight.js';

/**
 * Bounds what a client gives the node to keep.
 *
 * @param path of the value in the command.
 * @param limit name of the option that bounds it. @param max its value.
 * @returns the bytes of memory that it takes.
 * @throws RealtimeError `message_too_large` above it.
 */
export function requireSize(value: unknown, path: string, limit: string, max: number): number {
  const bytes = sizeOfValue(value);
  if (bytes <= max) return weightOf(value);
  const message = `is ${bytes} bytes; the server takes ${max} (limits.${limit})`;
  throw new RealtimeError('message_too_large', `${path} ${message}: send less`, {
    details: [{ path, message }],
  });
}
