import { RealtimeError } from '../../protocol/realtime-error.js';
import type { ErrorCode } from '../../protocol/error-codes.js';
import { withTimeout } from '../async/with-timeout.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { Clock } from '../ports/clock.js';
import type { Credentials, Verified, Verifier } from '../ports/identity.js';
import { clientNetwork } from '../ports/ip-address.js';
import { attempt, isPromise, type MaybePromise } from '../ports/maybe-promise.js';
import type { EngineSettings } from '../ports/settings.js';
import { RateLimit } from './rate-limit.js';
import { SubjectBuckets } from './subject-buckets.js';

/** When a client that finds no room may try again, in milliseconds. */
const RETRY_AFTER_MS = 1_000;
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
 * on this node and for one address, and in time. Counts what is refused: an address that guesses learns no more than that it is
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
    const address = clientNetwork(credentials.handshake.ip, settings.limits.ipv6Prefix);
    this.requireRoom(address);
    const started = (): MaybePromise<Verified> => {
      const work = authenticator.authenticate(credentials);
      return isPromise(work)
        ? this.follow(withTimeout(work, settings.handlerTimeoutMs, clock), address)
        : work;
    };
    return attempt(
      started,
      (authentication) => authentication,
      (error) => {
        throw credentials.token === undefined ? error : this.afterRefusal(error, address);
      },
    );
  }

  private requireRoom(address: string): void {
    const { maxVerifications, maxVerificationsPerAddress } = this.deps.settings.limits;
    if (this.running >= maxVerifications) {
      this.deps.journal.warn(
        'verifications',
        () =>
          `${maxVerifications} credentials are being verified; more are refused (limits.maxVerifications)`,
      );
      throw new RealtimeError('rate_limited', 'Too many credentials are being verified', {
        retryAfterMs: RETRY_AFTER_MS,
      });
    }
    if ((this.byAddress.get(address) ?? 0) >= maxVerificationsPerAddress) {
      this.deps.journal.warn(
        'verifications_of_address',
        () =>
          `${maxVerificationsPerAddress} credentials of the address ${address} are being verified; more are refused ` +
          '(limits.maxVerificationsPerAddress)',
      );
      throw new RealtimeError('rate_limited', 'Too many credentials of this address are being verified', {
        retryAfterMs: RETRY_AFTER_MS,
      });
    }
  }

  private async follow(work: MaybePromise<Verified>, address: string): Promise<Verified> {
    this.running++;
    this.byAddress.set(address, (this.byAddress.get(address) ?? 0) + 1);
    try {
      return await work;
    } finally {
      this.running--;
      const left = (this.byAddress.get(address) ?? 1) - 1;
      if (left > 0) this.byAddress.set(address, left);
      else this.byAddress.delete(address);
    }
  }

  /** @returns the error for the client. */
  private afterRefusal(error: unknown, address: string): unknown {
    if (!(error instanceof RealtimeError) || !GUESSES.has(error.code)) return error;
    const { clock, journal, settings } = this.deps;
    const now = clock.monotonic();
    if (this.failures.take(address, 1, now)) return error;
    const { authFailures, authFailureWindowMs } = settings.abuse;
    journal.warn(
      'auth_failures',
      () =>
        `More than ${authFailures} credentials of the address ${address} were refused within ${authFailureWindowMs} ms: ` +
        'further ones that are not valid are answered with rate_limited (abuse.authFailures)',
    );
    return new RealtimeError('rate_limited', 'Too many credentials of this address were refused', {
      retryAfterMs: Math.max(1, Math.ceil(this.failures.waitFor(address, 1, now))),
    });
  }
}
