import { createHmac } from 'node:crypto';
import { CANARY } from '../../../../scripts/canary.mjs';

export const SECRET = 'attacks-are-refused-with-this-secret';
export const AUDIENCE = 'realtime';

const part = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** How a token departs from one that the application issues. */
export interface TokenShape {
  readonly header?: Readonly<Record<string, unknown>>;
  readonly key?: string;
  readonly digest?: string;
}

/** A token of the application's own issuer, for this library. */
export function sign(claims: Readonly<Record<string, unknown>>, shape: TokenShape = {}): string {
  return signText(JSON.stringify({ aud: AUDIENCE, note: CANARY, ...claims }), shape);
}

/** The same of claims that no JSON library would write. */
export function signText(claims: string, { header = {}, key = SECRET, digest = 'sha256' }: TokenShape = {}) {
  const signed = `${part({ alg: 'HS256', typ: 'JWT', ...header })}.${part(claims)}`;
  return `${signed}.${createHmac(digest, key).update(signed).digest('base64url')}`;
}

/** One whose signature is empty. */
export function unsigned(claims: Readonly<Record<string, unknown>>, alg: string): string {
  return `${part({ alg, typ: 'JWT' })}.${part({ aud: AUDIENCE, ...claims })}.`;
}
