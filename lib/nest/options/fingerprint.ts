import { createHmac } from 'node:crypto';

/** 36 bits tell two applications apart, and are too few to know a secret by that was guessed. */
const LENGTH = 6;

/** What is stored of a secret, so that two applications with one `keyPrefix` notice each other. */
export function fingerprintOf(secret: string): string {
  return createHmac('sha256', secret)
    .update('nestjs-realtime application')
    .digest('base64url')
    .slice(0, LENGTH);
}
