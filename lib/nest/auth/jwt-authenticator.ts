import { createPublicKey, createSecretKey } from 'node:crypto';
import type { JwtService, JwtVerifyOptions } from '@nestjs/jwt';
import type {
  Authentication,
  Authenticator,
  Credentials,
  RealtimeIdentity,
} from '../../core/ports/identity.js';
import { isPromise, type MaybePromise } from '../../core/ports/maybe-promise.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { isRecord } from '../../protocol/validation/checks.js';
import { toMilliseconds } from '../options/duration.js';
import { MODULE_TABLE } from '../options/option-table.js';
import type { RealtimeJwtOptions } from '../realtime-options.js';
import { isMissingPackage } from '../../core/ports/missing-package.js';
import { jwtKey, type JwtKey } from './jwt-key.js';

/** When a client whose token is not valid yet comes back, in milliseconds. */
const NOT_YET_RETRY_MS = 2_000;

type Claims = Readonly<Record<string, unknown>>;

/** What `@nestjs/jwt` returns with `complete: true`. */
interface VerifiedToken {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: unknown;
}

/**
 * Verifies tokens with `@nestjs/jwt`. It caches nothing: a cached result would outlive its token, or the token's
 * revocation.
 */
export class JwtAuthenticator implements Authenticator {
  private readonly verifyOptions: JwtVerifyOptions & { readonly complete: true };
  private readonly toleranceMs: number;

  private constructor(
    private readonly jwt: JwtService,
    key: JwtKey,
    private readonly options: RealtimeJwtOptions,
  ) {
    this.toleranceMs = toMilliseconds(options.clockTolerance) ?? MODULE_TABLE.auth.jwt.clockTolerance.default;
    this.verifyOptions = verifyOptionsOf(key, options, this.toleranceMs);
  }

  /**
   * Loads `@nestjs/jwt`, which only applications with tokens need to install.
   *
   * @throws Error that says how to install it; JwtKeyError for a key that cannot verify.
   */
  static async create(options: RealtimeJwtOptions): Promise<JwtAuthenticator> {
    const key = jwtKey(options);
    const { JwtService } = await import('@nestjs/jwt').catch((cause: unknown) => {
      throw new Error(
        isMissingPackage(cause, '@nestjs/jwt')
          ? 'auth.jwt needs the package @nestjs/jwt, of the major version of your Nest. ' +
              'Install it: npm i @nestjs/jwt@11 for Nest 11, npm i @nestjs/jwt@12 for Nest 12'
          : `auth.jwt needs the package @nestjs/jwt, which is installed and cannot be loaded: ${String(cause)}`,
        { cause },
      );
    });
    return new JwtAuthenticator(new JwtService({}), key, options);
  }

  authenticate({ token }: Credentials): MaybePromise<Authentication> {
    if (token === undefined) throw new RealtimeError('unauthorized', 'A token is needed');
    const { header, payload } = this.verify(token);
    // RFC 7515 §4.1.11: a critical extension that is not understood makes the token invalid; jsonwebtoken ignores it.
    if (header.crit !== undefined)
      throw new RealtimeError('unauthorized', 'The token has an unknown critical header');
    if (!isRecord(payload)) throw new RealtimeError('unauthorized', 'The token has no claims');
    const expiresAt = this.expiryOf(payload);
    const toResult = (user: RealtimeIdentity): Authentication =>
      expiresAt === undefined ? { user } : { user, expiresAt };
    const user = this.userOf(payload);
    return isPromise(user) ? user.then(toResult) : toResult(user);
  }

  /** Synchronous, because `verifyAsync` does the same work on the same thread, with callbacks. */
  private verify(token: string): VerifiedToken {
    try {
      return this.jwt.verify<VerifiedToken & object>(token, this.verifyOptions);
    } catch (error) {
      throw refusal(error);
    }
  }

  private userOf(claims: Claims): MaybePromise<RealtimeIdentity> {
    if (this.options.user !== undefined) return this.options.user(claims);
    const { sub } = claims;
    // A larger number was rounded when it was parsed: it may be the id of somebody else.
    if (!(typeof sub === 'string' ? sub !== '' : Number.isSafeInteger(sub))) {
      throw new RealtimeError('unauthorized', 'The token names no user (claim "sub")');
    }
    return { ...claims, id: String(sub) };
  }

  /** `exp` plus the tolerance: a client that the tolerance admits is not disconnected at once. */
  private expiryOf({ exp }: Claims): number | undefined {
    return typeof exp === 'number' ? exp * 1_000 + this.toleranceMs : undefined;
  }
}

function verifyOptionsOf(
  { kind, value, algorithms }: JwtKey,
  { issuer, audience, maxAge }: RealtimeJwtOptions,
  toleranceMs: number,
): JwtVerifyOptions & { readonly complete: true } {
  const maxAgeMs = toMilliseconds(maxAge);
  return {
    // A key object, because jsonwebtoken would parse a text for each token. The types of @nestjs/jwt lack it.
    ...(kind === 'secret'
      ? { secret: createSecretKey(Buffer.from(value)) as unknown as Buffer }
      : { publicKey: createPublicKey(value) as unknown as Buffer }),
    algorithms: [...algorithms],
    clockTolerance: toleranceMs / 1_000,
    complete: true,
    ...(issuer === undefined ? {} : { issuer: issuer as string | [string, ...string[]] }),
    ...(audience === undefined ? {} : { audience: audience as string | [string, ...string[]] }),
    ...(maxAgeMs === undefined ? {} : { maxAge: `${maxAgeMs}ms` }),
  };
}

/** Compares the name of the error, because its class belongs to @nestjs/jwt's copy of jsonwebtoken. */
function refusal(error: unknown): RealtimeError {
  // A token older than `maxAge` has the same error, and a fresh token helps there too.
  if ((error as Error).name === 'TokenExpiredError') return new RealtimeError('token_expired');
  // The token is genuine, and the clock of who issued it is ahead: it is valid in a moment.
  if ((error as Error).name === 'NotBeforeError')
    return new RealtimeError('unavailable', 'The token is not valid yet', {
      retryAfterMs: NOT_YET_RETRY_MS,
      cause: error,
    });
  // Clients do not learn which check failed: that would help a forger.
  return new RealtimeError('unauthorized', 'The token is not valid', { cause: error });
}
