import { Injectable } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { RealtimeRuntime } from '../nest/index.js';

/** When a node counts as ready. */
export interface ReadinessOptions {
  /** How long the probe may take for its round trip, in milliseconds. Default 2000. */
  readonly timeoutMs?: number;
  /**
   * How long this node may be degraded because the broker is unreachable, in milliseconds; then it is down. Default:
   * without end, because every node would be down at once, and with them the rest of the application (G20).
   */
  readonly graceMs?: number;
}

const DEFAULT_TIMEOUT_MS = 2_000;
const WITHHELD =
  'events of channels that are not public are withheld: this node cannot prove that it knows every revoke';

/**
 * Health of the realtime module, for Terminus 11 and 12. Terminus 11 has no status `degraded`: there such a result is `up`
 * with `degraded: true` beside the reason.
 *
 * @example
 * @HealthCheck()
 * @Get('ready')
 * ready() {
 *   return this.health.check([() => this.realtime.ready('realtime')]);
 * }
 * @publicApi
 */
@Injectable()
export class RealtimeHealthIndicator {
  private awaySince: number | undefined;

  constructor(
    private readonly runtime: RealtimeRuntime,
    private readonly indicators: HealthIndicatorService,
  ) {}

  /**
   * Whether this node accepts clients: `up` when it is attached to the HTTP server and not draining. A publisher is `up`
   * as soon as it has started.
   */
  live<const Key extends string>(key: Key): HealthIndicatorResult<Key> {
    const indicator = this.indicators.check(key);
    const reason = this.notLive();
    return reason === undefined ? indicator.up({ sessions: this.sessions }) : indicator.down({ reason });
  }

  /**
   * Whether events reach this node: publishes a probe on the normal path and waits until it returns. `down` while
   * draining, and when the probe does not return although the broker is up, which is a fault of this node. `degraded`
   * when the broker is unreachable, and when events of channels that are not public are withheld (G11). Never rejects.
   */
  async ready<const Key extends string>(
    key: Key,
    { timeoutMs = DEFAULT_TIMEOUT_MS, graceMs = Number.POSITIVE_INFINITY }: ReadinessOptions = {},
  ): Promise<HealthIndicatorResult<Key>> {
    const indicator = this.indicators.check(key);
    const reason = this.notLive();
    if (reason !== undefined) return indicator.down({ reason });
    try {
      const roundTripMs = Math.round(await this.runtime.engine.probe(timeoutMs));
      this.awaySince = undefined;
      const detail = { roundTripMs, sessions: this.sessions };
      return this.runtime.engine.status.withholding
        ? degraded(indicator, { reason: WITHHELD, ...detail })
        : indicator.up(detail);
    } catch (error) {
      return this.notReady(indicator, error, graceMs);
    }
  }

  private notReady<const Key extends string>(
    indicator: ReturnType<HealthIndicatorService['check']>,
    error: unknown,
    graceMs: number,
  ): HealthIndicatorResult<Key> {
    const cause = error instanceof Error ? error.message : 'unknown';
    if (this.runtime.engine.status.broker === 'up') {
      return indicator.down({ reason: `events do not return to this node: ${cause}` });
    }
    const now = performance.now();
    this.awaySince ??= now;
    const awayMs = Math.round(now - this.awaySince);
    const detail = { reason: `the broker is unreachable: ${cause}`, awayMs };
    return awayMs > graceMs ? indicator.down(detail) : degraded(indicator, detail);
  }

  private notLive(): string | undefined {
    const status = this.runtime.engineIfAny?.status;
    if (status?.started !== true) return 'not started';
    if (status.draining) return 'draining';
    return this.runtime.attaches && !this.runtime.attached ? 'not attached' : undefined;
  }

  private get sessions(): number {
    return this.runtime.engine.status.sessions;
  }
}

/** The node still serves, so the check stays green: otherwise every node would be taken out of service at once. */
function degraded<const Key extends string>(
  indicator: ReturnType<HealthIndicatorService['check']>,
  detail: Readonly<Record<string, unknown>>,
): HealthIndicatorResult<Key> {
  // The types are those of Terminus 12; Terminus 11 lacks the method.
  return (indicator as Partial<typeof indicator>).degraded === undefined
    ? indicator.up({ degraded: true, ...detail })
    : indicator.degraded(detail);
}
