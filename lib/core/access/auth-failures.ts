import { trimOldest } from '../async/oldest.js';
import type { Clock } from '../ports/clock.js';
import type { EngineSettings } from '../ports/settings.js';
import { RateLimit } from './rate-limit.js';
import { SubjectBuckets } from './subject-buckets.js';

export interface AuthFailuresDeps {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly settings: Pick<EngineSettings, 'abuse' | 'limits'>;
}

/** An address from which too many credentials were refused. */
interface Hold {
  lengthMs: number;
  until: number;
}

/**
 * Counts the credentials of each address that were refused (G16). Who guesses above the rate is held: learns for a time only that it
 * is too fast, and each time that it is too fast again, for twice as long. Guesses in that time count too: to keep guessing ends in
 * the next hold. The holds of an address are forgotten once it was quiet after one for as long as that one was, and for a window at least.
 */
export class AuthFailures {
  /** A token for each refused credential. */
  private readonly failures: SubjectBuckets;
  /** In the order in which they began. */
  private readonly holds = new Map<string, Hold>();

  constructor(private readonly deps: AuthFailuresDeps) {
    const { abuse, limits } = deps.settings;
    const rate = new RateLimit((abuse.authFailures * 1_000) / abuse.authFailureWindowMs, abuse.authFailures);
    this.failures = new SubjectBuckets(rate, limits.maxRateBuckets);
  }

  /** Addresses that are kept. */
  get size(): number {
    return this.holds.size;
  }

  /** A credential of the address was refused. @returns milliseconds for which it is held, where it is; `isNew` when that begins now. */
  note(network: string): { readonly waitMs: number; readonly isNew: boolean } | undefined {
    const now = this.deps.clock.monotonic();
    const known = this.holds.get(network);
    if (known !== undefined && now < known.until) {
      this.failures.draw(network, 1, now);
      return { waitMs: known.until - now, isNew: false };
    }
    if (this.failures.take(network, 1, now)) return undefined;
    const lengthMs = this.nextLength(known, now);
    // Removed first, so that the map stays in order of age.
    this.holds.delete(network);
    this.holds.set(network, { lengthMs, until: now + lengthMs });
    trimOldest(this.holds, this.deps.settings.limits.maxRateBuckets);
    return { waitMs: lengthMs, isNew: true };
  }

  private nextLength(known: Hold | undefined, now: number): number {
    const { authHoldMs, authHoldMaxMs, authFailureWindowMs } = this.deps.settings.abuse;
    const isForgotten =
      known === undefined || now - known.until >= Math.max(known.lengthMs, authFailureWindowMs);
    return isForgotten ? authHoldMs : Math.min(authHoldMaxMs, 2 * known.lengthMs);
  }
}
