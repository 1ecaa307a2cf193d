import { ThrottledLog } from '../../core/async/throttled-log.js';
import type { Clock } from '../../core/ports/clock.js';
import type { EngineLogger } from '../../core/ports/logger.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { JwksAlgorithm } from '../realtime-options.js';
import { request, RequestError, type RequestDeps } from './bounded-request.js';
import { KeySetError, readKeySet, type KeysById, type PinnedKey } from './key-set.js';

/** Wait after the first failure of a key server, or answer of a cache, in milliseconds; doubled with each further one, up to the cooldown. */
const FIRST_RETRY_MS = 1_000;
const MAX_DOUBLINGS = 16;
/** What the clocks of an issuer, a cache and this node may differ, in milliseconds; `Age` is in whole seconds. */
const SKEW_MS = 60_000;

/** Bounds of what a key server is asked and may answer. */
export interface RemoteKeysSettings {
  readonly refreshMs: number;
  readonly keepMs: number;
  readonly cooldownMs: number;
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly maxKeys: number;
}

/** Where the keys of one issuer are. */
export interface KeySource {
  readonly issuer: string;
  readonly url: string;
  readonly algorithms?: readonly JwksAlgorithm[] | undefined;
}

export interface RemoteKeysDeps extends RequestDeps {
  readonly clock: Clock;
  readonly logger: Pick<EngineLogger, 'debug' | 'warn' | 'error'>;
}

/**
 * The keys of one issuer. They are asked for again in the background while they still count, and once more, at most once in each
 * cooldown, for an id that nobody knows: tokens of a rotation are not refused, and a flood of invented ids costs next to nothing.
 * A key server that is away takes nothing from those whose keys are known.
 */
export class RemoteKeys {
  private keys: KeysById | undefined;
  /** When the request began that brought them. */
  private askedAt = -Infinity;
  /** When the server may be asked again. */
  private mayAskAt = -Infinity;
  private failures = 0;
  /** Answers of a cache in a row. */
  private cached = 0;
  /** On the wall clock: what was published then, the newest answer has; the time of its cache is taken off. */
  private madeAt = -Infinity;
  /** Requests that have begun, and the number of the newest that the key server answered, and no cache. */
  private begun = 0;
  private answered = 0;
  /** The request that is under way; it never fails. */
  private flight: Promise<void> | undefined;
  private readonly reported = new Set<string>();
  private readonly journal: ThrottledLog;

  constructor(
    private readonly source: KeySource,
    private readonly settings: RemoteKeysSettings,
    private readonly deps: RemoteKeysDeps,
  ) {
    this.journal = new ThrottledLog(deps.logger, deps.clock);
  }

  /**
   * The keys of an id; `undefined` where the key server, asked since, has none.
   *
   * @param issuedAt when the token says that it was issued, in milliseconds of the wall clock. Nobody has verified it: who makes a token
   * up only decides how his own is refused.
   * @throws RealtimeError `unavailable` where it is open whether there is one.
   */
  async find(kid: string, issuedAt = Infinity): Promise<readonly PinnedKey[] | undefined> {
    const cameAt = this.deps.clock.monotonic();
    const { begun } = this;
    const known = this.lookUp(kid, cameAt);
    if (known !== undefined) {
      if (cameAt - this.askedAt >= this.settings.refreshMs && cameAt >= this.mayAskAt) void this.ask(cameAt);
      return known;
    }
    await (this.flight ?? this.askForUnknown(cameAt));
    const now = this.deps.clock.monotonic();
    const found = this.lookUp(kid, now);
    if (found !== undefined) return found;
    // An answer that was on its way before the token came, or is that of a cache, may be older than its key: it proves nothing, unless
    // it was made when the token was there already.
    if (this.answered > begun || this.madeAt > issuedAt + SKEW_MS) return undefined;
    throw this.unavailable(now);
  }

  private lookUp(kid: string, now: number): readonly PinnedKey[] | undefined {
    return now - this.askedAt < this.settings.keepMs ? this.keys?.get(kid) : undefined;
  }

  private askForUnknown(now: number): Promise<void> {
    if (now < this.mayAskAt) throw this.unavailable(now);
    // Without keys the server has to be asked in any case: an id that is unknown may then cause one more request.
    const { keepMs, cooldownMs } = this.settings;
    if (now - this.mayAskAt >= cooldownMs) this.cached = 0;
    if (now - this.askedAt < keepMs) this.mayAskAt = now + cooldownMs;
    return this.ask(now);
  }

  private ask(now: number): Promise<void> {
    this.flight ??= this.load(now).finally(() => (this.flight = undefined));
    return this.flight;
  }

  private async load(startedAt: number): Promise<void> {
    const { url, algorithms } = this.source;
    const { timeoutMs, maxBytes, maxKeys, cooldownMs, keepMs } = this.settings;
    const number = ++this.begun;
    // eslint-disable-next-line no-restricted-syntax -- compared with `iat`, as the claims of tokens are
    const startedNow = this.deps.clock.now();
    try {
      // A cache on the way may not heed it: then its answer says how old it is, or for how long it may keep it.
      const headers = { 'cache-control': 'no-cache' };
      const { text, ageMs, lifetimeMs } = await request({ url, headers, timeoutMs, maxBytes }, this.deps);
      const { keys, ignored } = readKeySet(text, maxKeys, algorithms);
      // Whoever rotates keys publishes the new one beside the old one: an empty set is a fault of the server, and takes nothing away.
      if (keys.size === 0 && this.keys !== undefined && this.keys.size > 0)
        throw new KeySetError('its set has no key that can verify a token');
      this.keys = keys;
      this.askedAt = startedAt;
      this.failures = 0;
      // Keys that were kept for longer count no more, so what is not known of an answer is no more than that.
      const oldMs = ageMs ?? Math.min(lifetimeMs, keepMs);
      this.madeAt = Math.max(this.madeAt, startedNow - oldMs);
      if (oldMs > 0) this.askSooner();
      else {
        this.answered = number;
        this.cached = 0;
      }
      this.report(keys, ignored);
    } catch (error) {
      const retryAt = this.deps.clock.monotonic() + waitMs(this.failures++, cooldownMs);
      this.mayAskAt = Math.max(this.mayAskAt, retryAt);
      this.reportFailure(error);
    }
  }

  /** What a cache says may be older than a rotation: the next unknown id need not wait for the whole cooldown. */
  private askSooner(): void {
    const soon = this.deps.clock.monotonic() + waitMs(this.cached++, this.settings.cooldownMs);
    this.mayAskAt = Math.min(this.mayAskAt, soon);
  }

  private report(keys: KeysById, ignored: ReadonlySet<string>): void {
    const fresh = [...ignored].filter((reason) => !this.reported.has(reason));
    for (const reason of fresh) this.reported.add(reason);
    if (fresh.length > 0)
      this.deps.logger.warn(`Keys of ${this.name} are ignored: ${fresh.join(', ')} (auth.jwt.jwks)`);
    if (keys.size === 0)
      this.journal.warn(
        'none',
        () => `${this.name} has no key that can verify a token: all of its tokens are refused`,
      );
  }

  private reportFailure(error: unknown): void {
    // Both say what happened, and neither quotes what came.
    const known = error instanceof RequestError || error instanceof KeySetError;
    const why = known ? error.message : 'its answer could not be used';
    this.journal.warn(
      'failure',
      () =>
        `The keys of ${this.name} could not be read: ${why}. Those that are known count until they are ` +
        `${this.settings.keepMs} ms old; tokens of others are answered with unavailable`,
    );
  }

  private unavailable(now: number): RealtimeError {
    return new RealtimeError('unavailable', 'The key of this token cannot be looked up now', {
      retryAfterMs: Math.max(FIRST_RETRY_MS, Math.ceil(this.mayAskAt - now)),
    });
  }

  /** For the log: neither the path nor the query, as both may hold a secret. */
  private get name(): string {
    return `the issuer ${JSON.stringify(this.source.issuer)} (${new URL(this.source.url).origin})`;
  }
}

function waitMs(times: number, mostMs: number): number {
  return Math.min(FIRST_RETRY_MS * 2 ** Math.min(times, MAX_DOUBLINGS), mostMs);
}
