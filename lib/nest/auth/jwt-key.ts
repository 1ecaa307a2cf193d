import { createPublicKey, type KeyObject } from 'node:crypto';
import type { JwtAlgorithm, RealtimeJwtOptions } from '../realtime-options.js';

/** A key, and the algorithms that fit its kind. */
export interface JwtKey {
  readonly kind: 'secret' | 'public key';
  readonly value: string | Buffer;
  readonly algorithms: readonly JwtAlgorithm[];
}

/** A key that cannot verify anything. Neither text contains it (G23). */
export class JwtKeyError extends RangeError {
  override readonly name = 'JwtKeyError';

  constructor(
    readonly problem: string,
    readonly remedy: string,
  ) {
    super(`auth.jwt: ${problem} ${remedy}`);
  }
}

const HMAC: readonly JwtAlgorithm[] = ['HS256', 'HS384', 'HS512'];
const RSA_PSS: readonly JwtAlgorithm[] = ['PS256', 'PS384', 'PS512'];
/** By the type of the key or, for EC, by its curve: RFC 7518 §3.4 binds each curve to one algorithm. */
const PUBLIC_KEYS: ReadonlyMap<string | undefined, readonly JwtAlgorithm[]> = new Map([
  ['rsa', ['RS256', 'RS384', 'RS512', ...RSA_PSS]],
  ['rsa-pss', RSA_PSS],
  ['prime256v1', ['ES256']],
  ['secp384r1', ['ES384']],
  ['secp521r1', ['ES512']],
]);

/**
 * Derives the algorithms from the kind of the key, never from the token's header: a verifier that trusts the header can
 * be made to use a public key, which everybody has, as an HMAC secret (the RS/HS confusion of jsonwebtoken, fast-jwt and
 * others).
 *
 * @throws JwtKeyError
 */
export function jwtKey({ secret, publicKey, algorithms }: RealtimeJwtOptions): JwtKey {
  const key = publicKey === undefined ? secretKey(secret) : publicKeyOf(publicKey);
  if (algorithms === undefined) return key;
  const strangers = algorithms.filter((algorithm) => !key.algorithms.includes(algorithm));
  if (strangers.length > 0 || algorithms.length === 0) {
    const given = strangers.length === 0 ? 'is empty' : `has ${strangers.join(', ')}`;
    throw new JwtKeyError(`"algorithms" ${given}.`, `The ${key.kind} fits ${key.algorithms.join(', ')}.`);
  }
  return { ...key, algorithms };
}

function secretKey(secret: string | Buffer | undefined): JwtKey {
  if (secret === undefined || secret.length === 0) {
    throw new JwtKeyError(
      'neither "secret" nor "publicKey" has a value.',
      'Is the environment variable set?',
    );
  }
  if (secret.toString('utf8').includes('-----BEGIN')) {
    throw new JwtKeyError(
      '"secret" is a PEM key.',
      'Give it as "publicKey": as a secret, everybody who has it could sign.',
    );
  }
  return { kind: 'secret', value: secret, algorithms: HMAC };
}

/** The algorithms that fit a public key; `undefined` for a kind that is not known here. */
export function algorithmsOf({ asymmetricKeyType: type, asymmetricKeyDetails }: KeyObject) {
  return PUBLIC_KEYS.get(type === 'ec' ? asymmetricKeyDetails?.namedCurve : type);
}

function publicKeyOf(value: string | Buffer): JwtKey {
  const key = parse(value);
  const { asymmetricKeyType: type = 'unknown' } = key;
  const algorithms = algorithmsOf(key);
  if (algorithms === undefined) {
    throw new JwtKeyError(
      `"publicKey" is of kind ${type}, which @nestjs/jwt cannot verify.`,
      'Use RSA or EC (P-256, P-384, P-521), or a class that implements RealtimeAuthenticator.',
    );
  }
  return { kind: 'public key', value, algorithms };
}

function parse(value: string | Buffer): KeyObject {
  try {
    return createPublicKey(value);
  } catch (error) {
    // Its message may quote the key.
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new JwtKeyError(
      `"publicKey" is not a public key in PEM (${code}).`,
      'Does it keep its line breaks?',
    );
  }
}
