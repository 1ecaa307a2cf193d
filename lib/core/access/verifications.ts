import { RealtimeError } from '../../protocol/realtime-error.js';
import type { ErrorCode } from '../../protocol/error-codes.js';
import { withTimeout } from '../async/with-timeout.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { Clock } from '../ports/clock.js';
import type { Credentials, Verified, Verifier } from '../ports/identity.js';
import { attempt, isPromise, type MaybePromise } from '../ports/maybe-promise.js';
import type { EngineSettings } from '../ports/settings.js';
import { RateLimit } from './rate-limit.js';
import { SubjectBuckets } from './subject-buckets.js';

/** When a client that finds no room may try again, in milliseconds. */
const RETRY_AFTER_MS = 1_000;
/** After how many times of `handlerTimeout` a verification counts as one that never ends. */
const LOST_AFTER = 10;
/** Refusals that a guess ends in. A token that has expired, or whose user is banned, is a genuine one. */
const GUESSES: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['unauthorized', 'forbidden', 'bad_request']);

export interface VerificationsDeps {
  readonly authenticator: Verifier;
  readonly clock: Clock;
  readonly journal: ThrottledLog;
  readonly settings: Pick<EngineSettings, 'limits' | 'abuse' | 'handlerTimeoutMs'>;
}

/**
 * Verifies credentials, wherever they come from: the handshake, `hello`, `auth` (G16). Bounded in the number that is under way,
 * on this node and for one address, and in time; one that is given up counts until it ends. Counts what is refused: an address that guesses learns no more than that it is
 * too fast. Whoever brings a valid credential is admitted from there too.
 */
export class Verifications {
  private running = 0;
  private readonly byAddress = new Map<string, number>();
  /** A token for each refused credential. */
  private readonly failures: SubjectBuckets;

  constructor(private readonly deps: VerificationsDeps) {
    const { abuse, limits } = deps.settings;
    const rate = new RateLimit((abuse.authFailures * 1_000) / abuse.authFailureWindowMs, abuse.authFailures);
    this.failures = new SubjectBuckets(rate, limits.maxRateBuckets);
  }

  /** Verifications that are under way. */
  get size(): number {
    return this.running;
  }

  /**
   * Synchronous when the authenticator is.
   *
   * @throws RealtimeError what the authenticator refuses with; `rate_limited` where too many are under way, or too many of the
   * address were refused; `timeout`.
   */
  verify(credentials: Credentials): MaybePromise<Verified> {
    const { authenticator, settings, clock } = this.deps;
    const { ip } = credentials.handshake;
    this.requireRoom(ip);
    const started = (): MaybePromise<Verified> => {
      const work = authenticator.authenticate(credentials);
      if (!isPromise(work)) return work;
      // Once: the `then` of a query builder runs the query.
      const verifying = Promise.resolve(work);
      this.count(verifying, ip);
      return withTimeout(verifying, settings.handlerTimeoutMs, clock);
    };
    return attempt(
      started,
      (authentication) => authentication,
      (error) => {
        throw credentials.token === undefined ? error : this.afterRefusal(error, ip);
      },
    );
  }

  private requireRoom(ip: string): void {
    const { maxVerifications, maxVerificationsPerAddress } = this.deps.settings.limits;
    if (this.running >= maxVerifications) {
      this.deps.journal.warn(
        'verifications',
        () =>
          `${maxVerifications} credentials are being verified; more are refused (limits.maxVerifications). One that took too long counts ` +
          'until it ends: give the calls of the authenticator a time-out',
      );
      throw new RealtimeError('rate_limited', 'Too many credentials are being verified', {
        retryAfterMs: RETRY_AFTER_MS,
      });
    }
    if ((this.byAddress.get(ip) ?? 0) >= maxVerificationsPerAddress) {
      this.deps.journal.warn(
        'verifications_of_address',
        () =>
          `${maxVerificationsPerAddress} credentials of the address ${ip} are being verified; more are refused ` +
          '(limits.maxVerificationsPerAddress). One that took too long counts until it ends',
      );
      throw new RealtimeError('rate_limited', 'Too many credentials of this address are being verified', {
        retryAfterMs: RETRY_AFTER_MS,
      });
    }
  }

  /**
   * Until it ends, not until nobody waits for it any more: the application works for it as long. One that never ends is taken for
   * lost in time, so that it does not keep its place for ever.
   */
  private count(work: Promise<Verified>, ip: string): void {
    this.running++;
    this.byAddress.set(ip, (this.byAddress.get(ip) ?? 0) + 1);
    const ended = (): void => {
      this.running--;
      const left = (this.byAddress.get(ip) ?? 1) - 1;
      if (left > 0) this.byAddress.set(ip, left);
      else this.byAddress.delete(ip);
    };
    const { clock, settings } = this.deps;
    void Promise.resolve(withTimeout(work, settings.handlerTimeoutMs * LOST_AFTER, clock)).then(ended, ended);
  }

  /** @returns the error for the client. */
  private afterRefusal(error: unknown, ip: string): unknown {
    if (!(error instanceof RealtimeError) || !GUESSES.has(error.code)) return error;
    const { clock, journal, settings } = this.deps;
    const now = clock.monotonic();
    if (this.failures.take(ip, 1, now)) return error;
    const { authFailures, authFailureWindowMs } = settings.abuse;
    journal.warn(
      'auth_failures',
      () =>
        `More than ${authFailures} credentials of the address ${ip} were refused within ${authFailureWindowMs} ms: ` +
        'further ones that are not valid are answered with rate_limited (abuse.authFailures)',
    );
    return new RealtimeError('rate_limited', 'Too many credentials of this address were refused', {
      retryAfterMs: Math.max(1, Math.ceil(this.failures.waitFor(ip, 1, now))),
    });
  }
}
