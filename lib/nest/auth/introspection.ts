import { createHash } from 'node:crypto';
import { ThrottledLog } from '../../core/async/throttled-log.js';
import type { Clock } from '../../core/ports/clock.js';
import type { Authentication, Authenticator, Credentials } from '../../core/ports/identity.js';
import type { EngineLogger } from '../../core/ports/logger.js';
import type { MaybePromise } from '../../core/ports/maybe-promise.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { isRecord } from '../../protocol/validation/checks.js';
import { request, RequestError, type RequestDeps } from './bounded-request.js';
import { ClaimJudge, type Claims } from './claims.js';
import { ExpiringTexts } from './expiring-texts.js';
import type { IntrospectionSettings } from './introspection-options.js';

/** When a client whose token could not be introspected comes back, in milliseconds, where the endpoint says nothing. */
const RETRY_AFTER_MS = 2_000;
/** What is kept of a token that is not active. */
const INACTIVE = '{"active":false}';

/** What it runs with. */
export interface IntrospectionDeps extends RequestDeps {
  readonly clock: Clock;
  readonly logger: Pick<EngineLogger, 'debug' | 'warn' | 'error'>;
}

/** Asks an authorization server about tokens, once for each at the same time, and keeps what it says for a while. */
export class Introspection implements Authenticator {
  private readonly judge: ClaimJudge;
  private readonly journal: ThrottledLog;
  private readonly active: ExpiringTexts;
  /** Apart, so that a flood of invented tokens does not drive out those that are active. */
  private readonly inactive: ExpiringTexts;
  /** Requests that are under way, by the hash of their token. */
  private readonly asked = new Map<string, Promise<string>>();

  constructor(
    private readonly settings: IntrospectionSettings,
    private readonly deps: IntrospectionDeps,
  ) {
    this.judge = new ClaimJudge(settings.rules, deps.clock);
    this.journal = new ThrottledLog(deps.logger, deps.clock);
    this.active = new ExpiringTexts(settings.maxCacheBytes);
    this.inactive = new ExpiringTexts(settings.maxCacheBytes);
  }

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
    const { text } = await request({ url, headers, body, timeoutMs, maxBytes }, this.deps).catch(
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
    const isOurs = status === 401 || status === 403;
    // Neither the path nor the query: both may hold a secret.
    const { origin } = new URL(this.settings.url);
    const remedy = isOurs ? ' Are the client and its secret right?' : '';
    this.journal.warn(
      'failure',
      () =>
        `Tokens could not be introspected at ${origin}: ${message}. They are answered with unavailable.${remedy}`,
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
