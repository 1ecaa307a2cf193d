import type { AuthorizationResult } from '../../core/ports/channel-definition.js';
import type { EngineLogger } from '../../core/ports/logger.js';
import { isPromise, type MaybePromise } from '../../core/ports/maybe-promise.js';
import { isRecord } from '../../protocol/validation/checks.js';
import { toMilliseconds } from '../options/duration.js';

/**
 * Reads what an authorization handler returned. Only `true` and a lease admit: a truthy something, such as a document
 * that was found, is more often an oversight than a decision, so it refuses and is logged once.
 */
export class VerdictReader {
  private warned = false;

  constructor(
    private readonly source: string,
    private readonly logger: EngineLogger,
  ) {}

  read(verdict: MaybePromise<unknown>): MaybePromise<AuthorizationResult> {
    return isPromise(verdict) ? verdict.then((value) => this.decide(value)) : this.decide(verdict);
  }

  private decide(verdict: unknown): AuthorizationResult {
    if (typeof verdict === 'boolean') return verdict;
    if (isRecord(verdict) && verdict.for !== undefined) {
      const forMs = toMilliseconds(verdict.for) ?? 0;
      if (forMs > 0) return { forMs };
    }
    if (verdict != null && !this.warned) {
      this.warned = true;
      this.logger.warn(
        `${this.source} returned neither true, false nor { for: duration }, which refuses. Return a boolean; an interceptor ` +
          'that wraps results must leave authorizations alone (RealtimeContext.from(context)?.action).',
      );
    }
    return false;
  }
}
