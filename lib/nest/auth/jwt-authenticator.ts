import { createPublicKey, createSecretKey } from 'node:crypto';
import type { JwtService, JwtVerifyOptions } from '@nestjs/jwt';
import type { Clock } from '../../core/ports/clock.js';
import type { Authentication, Authenticator, Credentials } from '../../core/ports/identity.js';
import type { MaybePromise } from '../../core/ports/maybe-promise.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { toMilliseconds } from '../options/duration.js';
import { MODULE_TABLE } from '../options/option-table.js';
import type { RealtimeJwtOptions } from '../realtime-options.js';
import { isMissingPackage } from '../../core/ports/missing-package.js';
import { ClaimJudge, invalid, type ClaimRules } from './claims.js';
import { jwtKey, type JwtKey } from './jwt-key.js';

/** What `@nestjs/jwt` returns with `complete: true`. */
interface VerifiedToken {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: unknown;
}

/**
 * Verifies tokens with `@nestjs/jwt` and one key. It caches nothing: a cached result would outlive its token, or the token's
 * revocation.
 */
export class JwtAuthenticator implements Authenticator {
  private readonly verifyOptions: JwtVerifyOptions & { readonly complete: true };
  private readonly judge: ClaimJudge;

  private constructor(
    private readonly jwt: JwtService,
    key: JwtKey,
    options: RealtimeJwtOptions,
    clock: Pick<Clock, 'now'>,
  ) {
    this.verifyOptions = verifyOptionsOf(key);
    this.judge = new ClaimJudge(claimRulesOf(options), clock);
  }

  /**
   * Loads `@nestjs/jwt`, which only applications with tokens need to install.
   *
   * @throws Error that says how to install it; JwtKeyError for a key that cannot verify.
   */
  static async create(options: RealtimeJwtOptions, clock: Pick<Clock, 'now'>): Promise<JwtAuthenticator> {
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
    return new JwtAuthenticator(new JwtService({}), key, options, clock);
  }

  authenticate({ token }: Credentials): MaybePromise<Authentication> {
    if (token === undefined) throw new RealtimeError('unauthorized', 'A token is needed');
    const { header, payload } = this.verify(token);
    // RFC 7515 §4.1.11: a critical extension that is not understood makes the token invalid; jsonwebtoken ignores it.
    if (header.crit !== undefined)
      throw new RealtimeError('unauthorized', 'The token has an unknown critical header');
    return this.judge.judge(payload);
  }

  /** Synchronous, because `verifyAsync` does the same work on the same thread, with callbacks. */
  private verify(token: string): VerifiedToken {
    try {
      return this.jwt.verify<VerifiedToken & object>(token, this.verifyOptions);
    } catch (error) {
      throw invalid('the signature', error);
    }
  }
}

/** What the options ask of the claims of every token. */
export function claimRulesOf(options: RealtimeJwtOptions): ClaimRules {
  const { issuer, audience, clockTolerance, maxAge, user } = options;
  return {
    issuer,
    audience,
    toleranceMs: toMilliseconds(clockTolerance) ?? MODULE_TABLE.auth.jwt.clockTolerance.default,
    maxAgeMs: toMilliseconds(maxAge),
    user,
  };
}

function verifyOptionsOf({
  kind,
  value,
  algorithms,
}: JwtKey): JwtVerifyOptions & { readonly complete: true } {
  return {
    // A key object, because jsonwebtoken would parse a text for each token. The types of @nestjs/jwt lack it.
    ...(kind === 'secret'
      ? { secret: createSecretKey(Buffer.from(value)) as unknown as Buffer }
      : { publicKey: createPublicKey(value) as unknown as Buffer }),
    algorithms: [...algorithms],
    // Claims are judged in one place, whatever proves them.
    ignoreExpiration: true,
    ignoreNotBefore: true,
    complete: true,
  };
}
