import { RealtimeError } from '../../protocol/realtime-error.js';
import type { ErrorCode } from '../../protocol/error-codes.js';
import { withTimeout } from '../async/with-timeout.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import { WaitingLines } from '../async/waiting-lines.js';
import type { Clock, Scheduled } from '../ports/clock.js';
import type { Handshake } from '../ports/connection.js';
import type { Credentials, Verified, Verifier } from '../ports/identity.js';
import { attempt, isPromise, type MaybePromise } from '../ports/maybe-promise.js';
import type { EngineSettings } from '../ports/settings.js';
import { spreadWait, type Entropy } from '../ports/entropy.js';
import { AuthFailures } from './auth-failures.js';

/** When a client that finds no room may try again, in milliseconds. */
const RETRY_AFTER_MS = 1_000;
/** After how many times of `handlerTimeout` a verification counts as one that never ends. */
const LOST_AFTER = 10;
/** Characters of the reason for a refusal that the log shows. */
const MAX_REASON_LENGTH = 300;
/** Refusals that a guess ends in. A token that has expired, or whose user is banned, is a genuine one. */
const GUESSES: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['unauthorized', 'forbidden', 'bad_request']);

export interface VerificationsDeps {
  readonly authenticator: Verifier;
  readonly clock: Clock;
  readonly entropy: Pick<Entropy, 'random'>;
  readonly journal: ThrottledLog;
  readonly settings: Pick<EngineSettings, 'limits' | 'abuse' | 'handlerTimeoutMs'>;
}

/**
 * Verifies credentials, wherever they come from: the handshake, `hello`, `auth` (G16). Bounded in the number that is under way,
 * on this node and for one address, and in time. What finds no place waits in the line of its address, and addresses take turns:
 * one that floods this node with slow credentials neither uses up all places nor keeps its own valid ones out for good. Counts
 * what is refused: an address that guesses learns no more than that it is too fast, and for longer and longer. A valid credential is admitted from there too.
 * Who brings no token does not wait behind those who do, where the authenticator knows at once.
 */
export class Verifications {
  private running = 0;
  /** Whether the authenticator knew at once of the last one who brought no token, as most do: that needs no place. */
  private anonymousAtOnce = true;
  private readonly byAddress = new Map<string, number>();
  /** Addresses of which something waits and may have a place, in the order of their turns. */
  private readonly turns = new Set<string>();
  private readonly lines: WaitingLines;
  /** For each place that is taken, when its work is taken for lost. */
  private readonly held = new Set<Scheduled>();
  private readonly failures: AuthFailures;

  constructor(private readonly deps: VerificationsDeps) {
    const { limits } = deps.settings;
    this.failures = new AuthFailures(deps);
    this.lines = new WaitingLines({
      clock: deps.clock,
      maxBytes: limits.maxWaitingBytes,
      maxWaitMs: limits.admissionWaitMs,
      onLineEnd: (network) => this.turns.delete(network),
    });
  }

  /** Verifications that are under way. */
  get size(): number {
    return this.running;
  }

  /** How many wait for a place. */
  get waiting(): number {
    return this.lines.size;
  }

  /**
   * Synchronous when the authenticator is, and nothing waits.
   *
   * @throws RealtimeError what the authenticator refuses with; `rate_limited` where no place was free in time, or too many
   * credentials of the address were refused; `timeout`.
   */
  verify(credentials: Credentials): MaybePromise<Verified> {
    const { handshake, token } = credentials;
    const { network } = handshake;
    return attempt(
      () => {
        // Nothing of the address waits then: places are given to what waits as soon as they are free.
        if (this.hasPlace(network) || (token === undefined && this.anonymousAtOnce))
          return this.start(credentials);
        const turn = this.lines.join(network, handshake, token?.length ?? 0);
        if (turn === undefined) throw this.noPlace(network);
        this.noteTurn(network);
        return turn.then((end) => {
          if (end === 'left') throw new RealtimeError('unavailable', 'The client has left');
          if (end === 'refused') throw this.noPlace(network);
          return this.holdPlace(network, () => this.ask(credentials));
        });
      },
      (authentication) => authentication,
      (error) => {
        throw token === undefined ? error : this.afterRefusal(error, token, network);
      },
    );
  }

  /** The node has stopped: nothing is to be verified any more. */
  close(): void {
    for (const lost of this.held) lost.cancel();
    this.held.clear();
  }

  /** The client of a handshake is gone: what waits of it leaves the line. */
  leave(handshake: Handshake): void {
    this.lines.leave(handshake);
  }

  private ask(credentials: Credentials): MaybePromise<Verified> {
    const work = this.deps.authenticator.authenticate(credentials);
    if (credentials.token === undefined) this.anonymousAtOnce = !isPromise(work);
    return work;
  }

  /** Where the authenticator turns out not to know at once, one may be above the places: the next one waits. */
  private start(credentials: Credentials): MaybePromise<Verified> {
    const work = this.ask(credentials);
    if (!isPromise(work)) return work;
    const { network } = credentials.handshake;
    this.takePlace(network);
    return this.holdPlace(network, () => work);
  }

  private hasPlace(network: string): boolean {
    return this.running < this.deps.settings.limits.maxVerifications && this.mayTake(network);
  }

  private mayTake(network: string): boolean {
    // A held address has as many as any: fewer would keep out the valid clients behind it, which wait in the same line.
    return (this.byAddress.get(network) ?? 0) < this.deps.settings.limits.maxVerificationsPerAddress;
  }

  private takePlace(network: string): void {
    this.running++;
    this.byAddress.set(network, (this.byAddress.get(network) ?? 0) + 1);
  }

  /**
   * Until the work ends, not until nobody waits for it any more: the application works for it as long. What never ends is taken
   * for lost in time, so that it does not keep its place for ever.
   */
  private holdPlace(network: string, work: () => MaybePromise<Verified>): MaybePromise<Verified> {
    const { clock, settings } = this.deps;
    // Once: the `then` of a query builder runs the query.
    const verifying = (async () => await work())();
    const release = (): void => {
      lost.cancel();
      if (this.held.delete(lost)) this.releasePlace(network);
    };
    const lost = clock.schedule(settings.handlerTimeoutMs * LOST_AFTER, release);
    this.held.add(lost);
    void verifying.then(release, release);
    return withTimeout(verifying, settings.handlerTimeoutMs, clock);
  }

  private releasePlace(network: string): void {
    this.running--;
    const left = (this.byAddress.get(network) ?? 1) - 1;
    if (left > 0) this.byAddress.set(network, left);
    else this.byAddress.delete(network);
    this.noteTurn(network);
    this.fillPlaces();
  }

  private noteTurn(network: string): void {
    if (this.lines.lengthOf(network) > 0 && this.mayTake(network)) this.turns.add(network);
  }

  /** Gives free places to the addresses in turn. A place is taken here, before the work begins in a later microtask. */
  private fillPlaces(): void {
    const { maxVerifications } = this.deps.settings.limits;
    for (const network of this.turns) {
      if (this.running >= maxVerifications) return;
      // The address goes to the end of the turns, which this loop comes to again.
      this.turns.delete(network);
      this.takePlace(network);
      this.lines.serve(network);
      this.noteTurn(network);
    }
  }

  private noPlace(network: string): RealtimeError {
    const { maxVerifications, maxVerificationsPerAddress, admissionWaitMs } = this.deps.settings.limits;
    const ofAddress = !this.mayTake(network);
    this.deps.journal.warn(ofAddress ? 'verifications_of_address' : 'verifications', () =>
      ofAddress
        ? `${maxVerificationsPerAddress} credentials of the address ${network} are being verified; those that found no place within ` +
          `${admissionWaitMs} ms, or no room to wait, are refused (limits.maxVerificationsPerAddress, limits.admissionWait)`
        : `${maxVerifications} credentials are being verified; those that found no place within ${admissionWaitMs} ms, or no ` +
          'room to wait, are refused (limits.maxVerifications, limits.admissionWait)',
    );
    const whose = ofAddress ? 'Too many credentials of this address' : 'Too many credentials';
    return new RealtimeError('rate_limited', `${whose} are being verified`, {
      retryAfterMs: spreadWait(RETRY_AFTER_MS, this.deps.entropy),
    });
  }

  /** @returns the error for the client. */
  private afterRefusal(error: unknown, token: string, network: string): unknown {
    if (!(error instanceof RealtimeError)) return error;
    const { journal, settings, entropy } = this.deps;
    // A client learns little of why; who develops one must find it somewhere.
    journal.debug(
      `token ${error.code}`,
      () => `A token of the address ${network} was refused with ${error.code}: ${reasonOf(error, token)}`,
    );
    if (!GUESSES.has(error.code)) return error;
    const hold = this.failures.note(network);
    if (hold === undefined) return error;
    const { authFailures, authFailureWindowMs } = settings.abuse;
    if (hold.isNew)
      journal.warn(
        'auth_failures',
        () =>
          `More than ${authFailures} credentials of the address ${network} were refused within ${authFailureWindowMs} ms: ` +
          `for ${hold.waitMs} ms further ones that are not valid are answered with rate_limited (abuse.authFailures, abuse.authHold)`,
      );
    return new RealtimeError('rate_limited', 'Too many credentials of this address were refused', {
      retryAfterMs: spreadWait(hold.waitMs, entropy),
    });
  }
}

/** What the authenticator said, and what it found. It may quote the token, which no log shows (G23). */
function reasonOf({ message, cause }: RealtimeError, token: string): string {
  const found = cause instanceof Error ? ` (${cause.message})` : '';
  return (message + found).replaceAll(token, '…').slice(0, MAX_REASON_LENGTH);
}
