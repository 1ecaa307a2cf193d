import type { Codec } from '../protocol/codecs/codec.js';
import { MAX_EVENT_LENGTH, MAX_ID_LENGTH, MAX_KEY_LENGTH, type Envelope } from '../protocol/envelope.js';
import type { PublishResult } from '../protocol/messages.js';
import { omitUndefined } from '../protocol/omit-undefined.js';
import { RealtimeError } from '../protocol/realtime-error.js';
import { toWireValue } from '../protocol/wire-value.js';
import { bytesOf, encode } from './connection/frames.js';
import type { Deferred } from './promises.js';
import { recordOf } from './received.js';

/** What the application asked to publish. */
export interface PublishInput {
  readonly channel: string;
  readonly event: string;
  readonly payload: unknown;
  readonly id: string;
  readonly key?: string;
  readonly ttl?: number;
  readonly trace?: string | undefined;
  /** Longest wait for the acknowledgement. */
  readonly timeoutMs?: number;
}

/** A publish that is not acknowledged yet. Times are milliseconds of the client's clock. */
export interface PublishEntry {
  readonly input: PublishInput;
  readonly result: Deferred<PublishResult>;
  /** Its caller's signal is not watched any more. */
  readonly unwatch: () => void;
  readonly bytes: number;
  readonly madeAt: number;
  /** Sent on the live connection, and not answered yet. */
  inFlight: boolean;
  /** When it was first sent: the server's dedupe window cannot begin earlier (P15). */
  firstSentAt: number | undefined;
  /** Whether the server may have appended it although no answer came. */
  ambiguous: boolean;
  /** Answers that asked to try again. */
  retries: number;
  /** Not sent again before this moment. */
  notBefore: number;
}

/** The most that sending may add to an encoded publish: `,"after":"…"` with an id of 64 characters. */
const AFTER_BYTES = 12 + MAX_ID_LENGTH * 3;

/**
 * The publish as it is now, whatever the application changes in its objects later: sent again with other content, an id
 * would be a `conflict` (P15).
 *
 * @throws RealtimeError `bad_request` for a field that no publish may have, or a payload that cannot be sent.
 */
export function serializePublish(input: PublishInput, codec: Codec): { input: PublishInput; bytes: number } {
  assertText('event', input.event, MAX_EVENT_LENGTH);
  assertText('id', input.id, MAX_ID_LENGTH);
  if (input.key !== undefined) assertText('key', input.key, MAX_KEY_LENGTH);
  if (input.ttl !== undefined && !(Number.isSafeInteger(input.ttl) && input.ttl > 0)) {
    throw new RealtimeError('bad_request', 'ttl must be a whole number above 0');
  }
  const copy = { ...input, payload: toWireValue(input.payload) };
  return { input: copy, bytes: bytesOf(encode(codec, envelopeOf(copy, undefined))) + AFTER_BYTES };
}

/** The command on the wire. */
export function envelopeOf(input: PublishInput, after: string | undefined): Envelope {
  const { channel, event, payload, id, key, ttl, trace } = input;
  return omitUndefined({ type: 'publish', id, channel, event, key, ttl, after, trace, payload });
}

/** Reads the answer to a publish; `undefined` for anything else. */
export function publishResultOf(payload: unknown): PublishResult | undefined {
  const { seq, epoch, duplicate } = recordOf(payload);
  if (typeof seq !== 'number' || typeof epoch !== 'string') return undefined;
  return { seq, epoch, duplicate: duplicate === true };
}

function assertText(what: string, value: string, max: number): void {
  if (typeof value === 'string' && value.length >= 1 && value.length <= max) return;
  throw new RealtimeError('bad_request', `${what} must be a string of 1 to ${max} characters`);
}
