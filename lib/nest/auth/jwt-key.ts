import { createPublicKey, type KeyObject } from 'node:crypto';
import type { JwtAlgorithm, RealtimeJwtOptions } from '../realtime-options.js';

/** The key of a verifier and the algorithms that fit its kind. */
export interface JwtKey {
  readonly kind: 'secret' | 'public key';
  readonly value: string | Buffer;
  readonly algorithms: readonly JwtAlgorithm[];
}

/** A key that cannot verify anything. Neither text ever contains it (G23). */
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
const RSA: readonly JwtAlgorithm[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const RSA_PSS: readonly JwtAlgorithm[] = ['PS256', 'PS384', 'PS512'];
// RFC 7518 §3.4 binds each curve to one algorithm.
const CURVES: Readonly<Record<string, JwtAlgorithm>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};

/**
 * Decides from the key which algorithms may verify it. The token's header never has a say: a verifier that follows it
 * takes a public key for an HMAC secret, which everybody has (the RS/HS confusion of jsonwebtoken, fast-jwt and
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

function publicKeyOf(value: string | Buffer): JwtKey {
  const key = parse(value);
  const algorithms = algorithmsOf(key);
  if (algorithms === undefined) {
    const kind = key.asymmetricKeyType ?? 'unknown';
    throw new JwtKeyError(
      `"publicKey" is of kind ${kind}, which @nestjs/jwt cannot verify.`,
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

function algorithmsOf(key: KeyObject): readonly JwtAlgorithm[] | undefined {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return RSA;
    case 'rsa-pss':
      return RSA_PSS;
    case 'ec': {
      const algorithm = CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''];
      return algorithm === undefined ? undefined : [algorithm];
    }
    default:
      return undefined;
  }
}
