import { hash } from 'node:crypto';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { EventDraft } from '../ports/channel-event.js';

/** A field's name, its quotes, its colon and comma. */
const FIELD_BYTES = 10;

/** What the serialization of a payload tells about it. */
export interface SerializedPayload {
  /** Digest of event name and payload as they were sent: tells a retry from another event with the same id (P15). */
  readonly fingerprint: string;
  /** Bytes of the payload as JSON. */
  readonly bytes: number;
}

/** @throws RealtimeError `bad_request` for a payload that is not serializable. */
export function serializePayload(event: string, payload: unknown): SerializedPayload {
  const text = serialize(payload);
  return {
    fingerprint: hash('sha1', `${event.length} ${event} ${text}`, 'base64'),
    bytes: Buffer.byteLength(text),
  };
}

/**
 * Like {@link serializePayload}, with the empty fingerprint of an event whose id this node made: no client can send it again.
 *
 * @throws RealtimeError `bad_request` for what is not serializable.
 */
export function measurePayload(payload: unknown): SerializedPayload {
  return { fingerprint: '', bytes: bytesOf(payload) };
}

/** Bytes of the other fields of an event as JSON; each counts with its name and quotes. */
export function bytesOfFields({ id, event, user, key, trace, meta }: EventDraft): number {
  let bytes = FIELD_BYTES + id.length + event.length;
  if (user !== undefined) bytes += FIELD_BYTES + user.length;
  if (key !== undefined) bytes += FIELD_BYTES + key.length;
  if (trace !== undefined) bytes += FIELD_BYTES + trace.length;
  if (meta !== undefined) bytes += bytesOf(meta);
  return bytes;
}

/**
 * Bytes of a value as JSON.
 *
 * @throws RealtimeError `bad_request` for what is not serializable.
 */
export function bytesOf(value: unknown): number {
  // A number always is serializable, and is short; a string too, but for what must be escaped.
  if (typeof value === 'number') return 8;
  if (typeof value === 'string') return Buffer.byteLength(value) + 2;
  return Buffer.byteLength(serialize(value));
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
