import { createHash } from 'node:crypto';
import { ThrottledLog } from '../../core/async/throttled-log.js';
import { systemClock, type Clock } from '../../core/ports/clock.js';
import type { Authentication, Authenticator, Credentials } from '../../core/ports/identity.js';
import type { EngineLogger } from '../../core/ports/logger.js';
import type { MaybePromise } from '../../core/ports/maybe-promise.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { isRecord } from '../../protocol/validation/checks.js';
import { NestEngineLogger } from '../lifecycle/engine-logger.js';
import { RequestError, requestText, type RequestDeps } from './bounded-request.js';
import { ClaimJudge, type Claims } from './claims.js';
import { ExpiringTexts } from './expiring-texts.js';
import { introspectionSettings, type IntrospectionOptions } from './introspection-options.js';

/** When a client whose token could not be introspected comes back, in milliseconds, where the endpoint says nothing. */
const RETRY_AFTER_MS = 2_000;
/** What is kept of a token that is not active. */
const INACTIVE = '{"active":false}';

/** @internal What the tests own. */
export interface IntrospectionDeps extends RequestDeps {
  readonly clock: Clock;
  readonly logger: Pick<EngineLogger, 'debug' | 'warn' | 'error'>;
}

/**
 * Verifies opaque tokens by asking the authorization server about them (RFC 7662). A token that is not active is refused with
 * `unauthorized`; where the server cannot be reached, has no time or refuses this application itself, the answer is `unavailable` with
 * `retryAfterMs`, since nothing is known of the token. At the same time one token is asked for once.
 *
 * An answer counts for `cacheFor` and never beyond its `exp`, which ends the connection too (G12). Tokens are kept as hashes only.
 *
 * @throws RangeError for options that cannot work, with the remedy.
 * @example
 * RealtimeModule.forRoot({
 *   auth: new IntrospectionAuthenticator({
 *     url: 'https://id.example.com/oauth2/introspect',
 *     client: { id: 'realtime', secret: process.env.INTROSPECTION_SECRET ?? '' },
 *     audience: 'realtime',
 *   }),
 * });
 */
export class IntrospectionAuthenticator implements Authenticator {
  private readonly settings: ReturnType<typeof introspectionSettings>;
  private readonly judge: ClaimJudge;
  private readonly journal: ThrottledLog;
  private readonly active: ExpiringTexts;
  /** Apart, so that a flood of invented tokens does not drive out those that are active. */
  private readonly inactive: ExpiringTexts;
  /** Requests that are under way, by the hash of their token. */
  private readonly asked = new Map<string, Promise<string>>();

  /** @param options see {@link IntrospectionOptions}. @param deps for tests. */
  constructor(
    options: IntrospectionOptions,
    private readonly deps: IntrospectionDeps = {
      clock: systemClock,
      logger: new NestEngineLogger(),
      fetch: globalThis.fetch,
    },
  ) {
    this.settings = introspectionSettings(options);
    this.judge = new ClaimJudge(this.settings.rules, deps.clock);
    this.journal = new ThrottledLog(deps.logger, deps.clock);
    this.active = new ExpiringTexts(this.settings.maxCacheBytes);
    this.inactive = new ExpiringTexts(this.settings.maxCacheBytes);
  }

  /** Called by the module. */
  authenticate({ token }: Credentials): MaybePromise<Authentication> {
    if (token === undefined) throw new RealtimeError('unauthorized', 'A token is needed');
    return this.verify(token);
  }

  private async verify(token: string): Promise<Authentication> {
    const key = createHash('sha256').update(token).digest('base64');
    const now = this.deps.clock.monotonic();
    const known = this.active.get(key, now) ?? this.inactive.get(key, now);
    const answer = parse(known ?? (await this.ask(key, token)));
    if (answer?.active !== true) throw new RealtimeError('unauthorized', 'The token is not active');
    return this.judge.judge(answer);
  }

  private ask(key: string, token: string): Promise<string> {
    const underWay = this.asked.get(key);
    if (underWay !== undefined) return underWay;
    const asking = this.introspect(key, token).finally(() => this.asked.delete(key));
    this.asked.set(key, asking);
    return asking;
  }

  private async introspect(key: string, token: string): Promise<string> {
    const { url, authorization, timeoutMs, maxBytes } = this.settings;
    // As a form, so that no character of a token becomes a parameter of its own.
    const body = new URLSearchParams({ token, token_type_hint: 'access_token' }).toString();
    const headers = { authorization, 'content-type': 'application/x-www-form-urlencoded' };
    const text = await requestText({ url, headers, body, timeoutMs, maxBytes }, this.deps).catch(
      (error: unknown) => this.refuse(error),
    );
    const answer = parse(text);
    if (typeof answer?.active !== 'boolean')
      return this.refuse(new RequestError('its answer says not whether the token is active'));
    return this.keep(key, text, answer);
  }

  private keep(key: string, text: string, answer: Claims): string {
    const { cacheMs, refuseMs } = this.settings;
    const now = this.deps.clock.monotonic();
    if (answer.active !== true) {
      // Of a token that is not active nothing else counts (RFC 7662 §2.2).
      if (refuseMs > 0) this.inactive.set(key, INACTIVE, now + refuseMs);
      return INACTIVE;
    }
    // Its end is judged each time, so it is not prolonged by being kept.
    if (cacheMs > 0) this.active.set(key, text, now + cacheMs);
    return text;
  }

  /** Nothing is known of the token. */
  private refuse(error: unknown): never {
    const {
      message,
      status,
      retryAfterMs = RETRY_AFTER_MS,
    } = error instanceof RequestError ? error : new RequestError('the request failed');
    const isOurs = status !== undefined && status >= 400 && status < 500 && status !== 429;
    const { origin, pathname } = new URL(this.settings.url);
    const remedy = isOurs ? ' Are the client and its secret right?' : '';
    this.journal.warn(
      'failure',
      () =>
        `Tokens could not be introspected at ${origin}${pathname}: ${message}. They are answered with unavailable.${remedy}`,
    );
    throw new RealtimeError('unavailable', 'The token cannot be verified now', {
      retryAfterMs: Math.max(1, retryAfterMs),
    });
  }
}

function parse(text: string): Claims | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return isRecord(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}
