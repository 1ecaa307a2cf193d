import { createHmac } from 'node:crypto';

/** Names of the headers of the Standard Webhooks specification. */
export const ID_HEADER = 'webhook-id';
export const TIMESTAMP_HEADER = 'webhook-timestamp';
export const SIGNATURE_HEADER = 'webhook-signature';
/** Version of a symmetric signature. */
export const VERSION = 'v1';

/** Bytes of the signature of a message. @param timestamp as in its header. @param body as it is sent. */
export function signatureOf(key: Buffer, id: string, timestamp: string, body: string | Uint8Array): Buffer {
  return createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
}
