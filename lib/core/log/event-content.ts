import { hash } from 'node:crypto';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { isRecord } from '../../protocol/validation/checks.js';
import { toWireValue } from '../../protocol/wire-value.js';
import type { EventDraft } from '../ports/channel-event.js';
import { isPlainValue, NOT_PLAIN, plainCopy } from './plain-value.js';

/** A value of the application as every client gets it, and its JSON. */
export interface EventContent {
  readonly value: unknown;
  /** '' where there is no value. */
  readonly json: string;
}

const NOTHING: EventContent = { value: undefined, json: '' };

/**
 * Fixes a value: what the application changes in its objects afterwards changes nothing (P29).
 *
 * @param name What it is, for messages.
 * @throws RealtimeError `bad_request` for what cannot be sent.
 */
export function contentOf(value: unknown, name = 'payload'): EventContent {
  if (value === undefined) return NOTHING;
  const copy = plainCopy(value);
  if (copy !== NOT_PLAIN) return { value: copy, json: JSON.stringify(copy) };
  const wire = toWireValue(value, name);
  // What `toJSON` returned may be nothing.
  return wire === undefined ? NOTHING : { value: wire, json: JSON.stringify(wire) };
}

/** The JSON of {@link contentOf}, without a copy where none has to be made. */
export function jsonOf(value: unknown): string {
  return isPlainValue(value) ? JSON.stringify(value) : contentOf(value).json;
}

/**
 * The `meta` of an event, fixed in the same way.
 *
 * @throws RealtimeError `bad_request` for what cannot be sent, and for what is no object once it is: a `Date` is a text then.
 */
export function metaOf(value: unknown): EventContent {
  const meta = contentOf(value, 'meta');
  if (meta.value !== undefined && !isRecord(meta.value))
    throw new RealtimeError('bad_request', 'meta must be an object');
  return meta;
}

/** Digest of an event as it was sent: tells a retry from another event with the same id (P15). @param json its payload. */
export function fingerprintOf(event: string, json: string): string {
  return hash('sha1', `${event.length} ${event} ${json}`, 'base64');
}

/** Fields of an event whose text counts for its size. */
type Sized = Pick<EventDraft, 'event'> & Partial<Pick<EventDraft, 'id' | 'user' | 'key' | 'trace'>>;

/**
 * Bytes of an event or a signal: those of `payload` and `meta` as JSON, and of `event`, `id`, `user`, `key` and `trace`, in
 * UTF-8. Neither the channel nor what the log adds counts.
 *
 * @throws RealtimeError `message_too_large` above `maxBytes`.
 */
export function sizeOf(
  { event, id = '', user = '', key = '', trace = '' }: Sized,
  payloadJson: string,
  metaJson: string,
  maxBytes: number,
): number {
  const bytes =
    Buffer.byteLength(payloadJson) +
    Buffer.byteLength(event) +
    Buffer.byteLength(id) +
    bytesOf(metaJson) +
    bytesOf(user) +
    bytesOf(key) +
    bytesOf(trace);
  if (bytes <= maxBytes) return bytes;
  throw new RealtimeError(
    'message_too_large',
    `The event ${JSON.stringify(event)} has ${bytes} bytes, and limits.maxEventBytes is ${maxBytes}. ` +
      'Send less: in parts, or a reference to where the rest is.',
  );
}

/**
 * The error for a result of an application's handler that cannot be sent. The cause knows what is wrong with it, but not whose
 * it is. The log must name both: the client gets nothing but `internal` (G25).
 *
 * @param handler which one, in words that the application chose: nothing that only a client said (G23).
 */
export function notSerializable(handler: string, cause: unknown): Error {
  const problem = cause instanceof Error ? cause.message : 'unknown problem';
  return new Error(`What ${handler} returned is not serializable: ${problem}`, { cause });
}

function bytesOf(text: string): number {
  return text === '' ? 0 : Buffer.byteLength(text);
}
