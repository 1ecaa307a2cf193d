import type { Authentication, RealtimeIdentity } from '../../core/ports/identity.js';
import type { Clock } from '../../core/ports/clock.js';
import { whenReady, type MaybePromise } from '../../core/ports/maybe-promise.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { isRecord } from '../../protocol/validation/checks.js';

/** When a client whose token is not valid yet comes back, in milliseconds. */
const NOT_YET_RETRY_MS = 2_000;

/** What a token says, verified. */
export type Claims = Readonly<Record<string, unknown>>;

/** What tokens must say. */
export interface ClaimRules {
  /** One of these is `iss`; not checked where it is left out. */
  readonly issuer?: string | readonly string[] | undefined;
  /** One of these is in `aud`; not checked where it is left out. */
  readonly audience?: string | readonly string[] | undefined;
  /** Difference of clocks that is forgiven, in milliseconds. */
  readonly toleranceMs: number;
  /** Age since `iat`, in milliseconds; not checked where it is left out. */
  readonly maxAgeMs?: number | undefined;
  /** Makes the user. Default: the claims, with `sub` as `id`. */
  readonly user?: ((claims: Claims) => MaybePromise<RealtimeIdentity>) | undefined;
}

/**
 * Judges the claims of a token whose origin is proven, by a signature or by who was asked about it: the one path for all kinds of
 * tokens. Clients do not learn which check failed: that would help a forger.
 */
export class ClaimJudge {
  constructor(
    private readonly rules: ClaimRules,
    private readonly clock: Pick<Clock, 'now'>,
  ) {}

  /** @throws RealtimeError `unauthorized`, `token_expired`, or `unavailable` for a token that is valid in a moment. */
  judge(claims: unknown): MaybePromise<Authentication> {
    if (!isRecord(claims)) throw new RealtimeError('unauthorized', 'The token has no claims');
    const { issuer, audience, toleranceMs } = this.rules;
    if (issuer !== undefined && !isOneOf(claims.iss, issuer)) throw invalid('iss');
    if (audience !== undefined && ![claims.aud].flat().some((one) => isOneOf(one, audience)))
      throw invalid('aud');
    this.checkTimes(claims);
    const { exp } = claims;
    // With the tolerance: a client that it admits is not disconnected at once.
    const end = typeof exp === 'number' ? { expiresAt: exp * 1_000 + toleranceMs } : {};
    return whenReady(this.userOf(claims), (user) => ({ user, ...end }));
  }

  private checkTimes({ exp, nbf, iat }: Claims): void {
    const { toleranceMs, maxAgeMs } = this.rules;
    const now = this.clock.now();
    if (nbf !== undefined) {
      // The token is genuine, and the clock of who issued it is ahead: it is valid in a moment.
      if (timeOf(nbf, 'nbf') > now + toleranceMs)
        throw new RealtimeError('unavailable', 'The token is not valid yet', {
          retryAfterMs: NOT_YET_RETRY_MS,
        });
    }
    if (exp !== undefined && timeOf(exp, 'exp') + toleranceMs <= now)
      throw new RealtimeError('token_expired');
    // A fresh token helps where this one is too old.
    if (maxAgeMs !== undefined && timeOf(iat, 'iat') + maxAgeMs + toleranceMs <= now)
      throw new RealtimeError('token_expired');
  }

  private userOf(claims: Claims): MaybePromise<RealtimeIdentity> {
    if (this.rules.user !== undefined) return this.rules.user(claims);
    const { sub } = claims;
    // A larger number was rounded when it was parsed: it may be the id of somebody else.
    if (!(typeof sub === 'string' ? sub !== '' : Number.isSafeInteger(sub))) {
      throw new RealtimeError('unauthorized', 'The token names no user (claim "sub")');
    }
    return { ...claims, id: String(sub) };
  }
}

/** A token that is not valid. What is wrong is for the log of whoever develops a client. */
export function invalid(what: string, cause?: unknown): RealtimeError {
  return new RealtimeError('unauthorized', 'The token is not valid', {
    cause: cause ?? new Error(`Refused because of ${what}`),
  });
}

/** Milliseconds of a claim in seconds. */
function timeOf(value: unknown, claim: string): number {
  if (typeof value !== 'number') throw invalid(claim);
  return value * 1_000;
}

/** A list as the claim is not the text in it: `iss` is one text (RFC 7519 §4.1.1). */
function isOneOf(value: unknown, expected: string | readonly string[]): boolean {
  if (typeof value !== 'string') return false;
  return typeof expected === 'string' ? value === expected : expected.includes(value);
}
