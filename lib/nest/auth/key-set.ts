import { createPublicKey, type KeyObject } from 'node:crypto';
import { isRecord } from '../../protocol/validation/checks.js';
import type { JwksAlgorithm } from '../realtime-options.js';
import { algorithmsOf } from './jwt-key.js';

/** Shortest RSA key that RFC 7518 §3.3 allows, in bits. */
const LEAST_RSA_BITS = 2_048;
/** Longest `kid` of a key, in characters. */
export const MAX_KID_LENGTH = 256;
const EDWARDS: readonly JwksAlgorithm[] = ['EdDSA', 'Ed25519'];
/** Members of a JWK that only who signs may have (RFC 7518 §6). */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];

/** A public key, and what may be verified with it: settled by the key and the options, never by a token. */
export interface PinnedKey {
  readonly key: KeyObject;
  readonly algorithms: readonly JwksAlgorithm[];
}

/** Keys by their id. Several of one id are of different kinds (RFC 7517 §4.5). */
export type KeysById = ReadonlyMap<string, readonly PinnedKey[]>;

/** What a set of keys holds. */
export interface KeySet {
  readonly keys: KeysById;
  /** Why keys of it were ignored; each reason once. */
  readonly ignored: ReadonlySet<string>;
}

/** The answer of a key server is no set of keys. */
export class KeySetError extends Error {
  override readonly name = 'KeySetError';
}

/**
 * Reads a JWK Set (RFC 7517 §5). Keys that cannot verify a signature here are ignored, as that standard asks; private and symmetric
 * ones too: whoever published them has given them away.
 *
 * @param allowed algorithms that the options allow; every one that fits a key, where it is left out.
 * @throws KeySetError
 */
export function readKeySet(text: string, maxKeys: number, allowed?: readonly JwksAlgorithm[]): KeySet {
  const members = membersOf(text);
  if (members.length > maxKeys)
    throw new KeySetError(`its set has ${members.length} keys, and ${maxKeys} are taken`);
  const keys = new Map<string, PinnedKey[]>();
  const ignored = new Set<string>();
  for (const member of members) {
    const read = readKey(member, allowed);
    if (typeof read === 'string') {
      ignored.add(read);
      continue;
    }
    const ofId = keys.get(read.kid);
    if (ofId === undefined) keys.set(read.kid, [read]);
    else ofId.push(read);
  }
  return { keys, ignored };
}

function membersOf(text: string): readonly unknown[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new KeySetError('its answer is not JSON');
  }
  if (!isRecord(parsed) || !Array.isArray(parsed.keys)) throw new KeySetError('its answer is not a JWK Set');
  return parsed.keys;
}

/** @returns the key, or why it is ignored. */
function readKey(
  jwk: unknown,
  allowed: readonly JwksAlgorithm[] | undefined,
): (PinnedKey & { readonly kid: string }) | string {
  if (!isRecord(jwk)) return 'not an object';
  const { kid, use, key_ops: operations, alg, kty } = jwk;
  if (kty === 'oct') return 'symmetric';
  if (SECRET_MEMBERS.some((name) => Object.hasOwn(jwk, name))) return 'private';
  if (use !== undefined && use !== 'sig') return 'not for signatures ("use")';
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    return 'not for verifying ("key_ops")';
  if (typeof kid !== 'string' || kid === '' || kid.length > MAX_KID_LENGTH) return 'without a usable "kid"';
  const key = importKey(jwk);
  if (key === undefined) return 'unreadable';
  if ((key.asymmetricKeyDetails?.modulusLength ?? Infinity) < LEAST_RSA_BITS)
    return `RSA below ${LEAST_RSA_BITS} bits`;
  const fitting: readonly JwksAlgorithm[] | undefined =
    key.asymmetricKeyType === 'ed25519'
      ? EDWARDS
      : (algorithmsOf(key) as readonly JwksAlgorithm[] | undefined);
  if (fitting === undefined) return 'of an unknown kind';
  const algorithms = fitting.filter(
    (one) => (alg === undefined || one === alg) && (allowed === undefined || allowed.includes(one)),
  );
  return algorithms.length > 0 ? { kid, key, algorithms } : 'for another algorithm ("alg")';
}

function importKey(jwk: Record<string, unknown>): KeyObject | undefined {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    return undefined;
  }
}
