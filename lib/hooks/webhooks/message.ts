import { createHash } from 'node:crypto';
import type { Clock } from '../../core/ports/clock.js';
import type { HookEvent } from '../hook-event.js';
import { ID_HEADER, SIGNATURE_HEADER, signatureOf, TIMESTAMP_HEADER, VERSION } from './signature.js';

/** What can be a header, and has none of the signature's dots in it. */
const PLAIN_ID = /^[\w-]{1,64}$/;

/** A request to an address: its body and the headers that sign it. */
export interface WebhookMessage {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The message of an event. Its timestamp is that of the attempt, so that a receiver may refuse what somebody plays again much later.
 *
 * @param keys of which each signs it.
 * @throws TypeError for a notice that is no JSON.
 */
export function messageOf(
  event: HookEvent,
  keys: readonly Buffer[],
  clock: Pick<Clock, 'now'>,
): WebhookMessage {
  const id = PLAIN_ID.test(event.id) ? event.id : createHash('sha256').update(event.id).digest('base64url');
  const { type, at, id: _, ...data } = event;
  const body = JSON.stringify({ type, timestamp: new Date(at).toISOString(), data });
  const timestamp = String(Math.floor(clock.now() / 1_000));
  const signatures = keys.map(
    (key) => `${VERSION},${signatureOf(key, id, timestamp, body).toString('base64')}`,
  );
  return {
    body,
    headers: {
      [ID_HEADER]: id,
      [TIMESTAMP_HEADER]: timestamp,
      [SIGNATURE_HEADER]: signatures.join(' '),
    },
  };
}
