import { Injectable } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { RealtimeRuntime } from '../nest/index.js';

/** How readiness is judged. */
export interface ReadinessOptions {
  /** Longest round trip of the probe, in milliseconds. Default 2000. */
  readonly timeoutMs?: number;
  /**
   * How long a broker that is away for everybody may leave this node degraded before it counts as down, in
   * milliseconds. Default: for ever, because red on every node would take the rest of the application down with it
   * (G20).
   */
  readonly graceMs?: number;
}

const DEFAULT_TIMEOUT_MS = 2_000;
const WITHHELD =
  'events of channels that are not public are withheld: it cannot be proved that every revoke is known here';

/**
 * Health of the realtime part for Terminus 11 and 12 (G20). Terminus 11 has no status `degraded`: there such a result is
 * `up` with `degraded: true` beside the reason.
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
   * Whether this node takes clients: `up` when it is attached and not draining. In a publisher, `up` once it has
   * started.
   */
  live<const Key extends string>(key: Key): HealthIndicatorResult<Key> {
    const indicator = this.indicators.check(key);
    const reason = this.notLive();
    return reason === undefined ? indicator.up({ sessions: this.sessions }) : indicator.down({ reason });
  }

  /**
   * Whether events get through: a probe published on the normal path must come back. `down` while draining, and when
   * the broker is there but the probe does not return, which is this node's own path; `degraded` when the broker is
   * away for everybody, and when events of channels that are not public are withheld (G11).
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
      return this.unproved(indicator, error, graceMs);
    }
  }

  private unproved<const Key extends string>(
    indicator: ReturnType<HealthIndicatorService['check']>,
    error: unknown,
    graceMs: number,
  ): HealthIndicatorResult<Key> {
    const cause = error instanceof Error ? error.message : 'unknown';
    if (this.runtime.engine.status.broker === 'up') {
      return indicator.down({
        reason: `events do not come back to this node: ${cause}`,
      });
    }
    const now = performance.now();
    this.awaySince ??= now;
    const awayMs = Math.round(now - this.awaySince);
    const detail = { reason: `the broker is away: ${cause}`, awayMs };
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

/** Impaired, but serving: the check stays green, or every node would be taken out of service at once. */
function degraded<const Key extends string>(
  indicator: ReturnType<HealthIndicatorService['check']>,
  detail: Readonly<Record<string, unknown>>,
): HealthIndicatorResult<Key> {
  // Declared as in Terminus 12; 11 lacks the method.
  return (indicator as Partial<typeof indicator>).degraded === undefined
    ? indicator.up({ degraded: true, ...detail })
    : indicator.degraded(detail);
}
