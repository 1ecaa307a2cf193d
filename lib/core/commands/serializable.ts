import { hash } from 'node:crypto';
import { RealtimeError } from '../../protocol/realtime-error.js';

/**
 * Digest of an event as it was sent: tells a retry from another event with the same id (P15).
 *
 * @throws RealtimeError `bad_request` for a payload that is not serializable.
 */
export function fingerprintOf(event: string, payload: unknown): string {
  return hash('sha1', `${event.length} ${event} ${serialize(payload)}`, 'base64');
}

/**
 * The empty fingerprint of an event whose id this node made, so that no client can send it again.
 *
 * @throws RealtimeError `bad_request` for what is not serializable.
 */
export function assertSerializable(payload: unknown, meta: unknown): '' {
  // A string or a number always is, and most small events are one.
  if (typeof payload !== 'string' && typeof payload !== 'number') serialize(payload);
  if (meta !== undefined) serialize(meta);
  return '';
}

function serialize(value: unknown): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch (error) {
    throw new RealtimeError(
      'bad_request',
      'The payload is not serializable: it holds a BigInt, or contains itself. Send what JSON can hold',
      { cause: error },
    );
  }
}

/**
 * The error for a result of an application's handler that cannot be sent. The codec knows what is wrong with it, but not whose
 * it is. The log must name both: the client gets nothing but `internal` (G25).
 *
 * @param handler which one, in words that the application chose: nothing that only a client said (G23).
 */
export function notSerializable(handler: string, cause: unknown): Error {
  const problem = cause instanceof Error ? cause.message : 'unknown problem';
  return new Error(
    `What ${handler} returned is not serializable: ${problem}. ` +
      'Return what JSON can hold: a BigInt as a string, nothing that contains itself.',
    { cause },
  );
}
