import { Injectable, Optional } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import type { BrokenPath, PeerPaths } from '../core/engine/cluster/path-check.js';
import { SHEDDING_STEPS, type SheddingStep } from '../core/ports/overload.js';
import { requireRuntime } from '../nest/errors/realtime-boot-error.js';
import { RealtimeRuntime } from '../nest/index.js';

/** When a node counts as ready. */
export interface ReadinessOptions {
  /** How long the probe may take for its round trip, in milliseconds; the answer is there by then. Default 2000. */
  readonly timeoutMs?: number;
  /**
   * How long this node may be degraded because events reach no node, in milliseconds; then it is down. Default:
   * without end, because every node would be down at once, and with them the rest of the application (G20).
   */
  readonly graceMs?: number;
  /**
   * The step against an overload (G33) from which on the node is down: then it is sent no new clients, which it would refuse, and
   * the other nodes are. Default: none, it is degraded, because an overload of all nodes must not turn all of them red.
   */
  readonly downFrom?: 'connections' | 'history' | 'low' | 'presence';
}

const DEFAULT_TIMEOUT_MS = 2_000;
const WITHHELD =
  'events of channels that are not public are withheld: this node cannot prove that it knows every revoke';
const REFUSES = 'the broker refuses what is written to it';

/** What the reason says of the other nodes. */
const PEERS: Readonly<Record<PeerPaths, string>> = {
  works: 'of other nodes they do',
  fails: 'nor to the other nodes that were asked',
  silent: 'no other node answers',
  none: 'there is no other node',
  refused: 'and the broker refuses those of this node, so what other nodes say is not known',
};

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
    @Optional() private readonly runtime: RealtimeRuntime,
    private readonly indicators: HealthIndicatorService,
  ) {
    requireRuntime(runtime, 'RealtimeHealthModule');
  }

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
   * Whether events reach this node: publishes a probe on the normal path and waits until it returns, and asks other nodes where it
   * does not. `down` while draining, and when the probe does not return although the broker is up, unless it returns to none
   * of the other nodes either: what they answer tells a fault of this node from one of the broker (G20). A node that is alone,
   * or that no other one answers, is `down`: nothing reaches it; unless the broker refuses the probe. `degraded` when the broker is
   * unreachable or refuses what is written, when events return to no node, when events of channels that are not public are withheld (G11), when a consumer has stopped at a record that cannot be published (G34), and while it sheds load (G33). Never rejects.
   */
  async ready<const Key extends string>(
    key: Key,
    options: ReadinessOptions = {},
  ): Promise<HealthIndicatorResult<Key>> {
    const indicator = this.indicators.check(key);
    const reason = this.notLive();
    if (reason !== undefined) return indicator.down({ reason });
    const { engine } = this.runtime;
    const report = await engine.checkPath(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    // It may have begun to drain since.
    const now = this.notLive();
    if (now !== undefined) return indicator.down({ reason: now });
    if ('cause' in report) return this.notReady(indicator, report, options);
    this.awaySince = undefined;
    const { withholding, shedding, brokerRefusal } = engine.status;
    const detail = { roundTripMs: Math.round(report.roundTripMs), sessions: this.sessions };
    if (shedding !== undefined) return overloaded(indicator, shedding, detail, options);
    const refusal = brokerRefusal === undefined ? undefined : `${REFUSES}: ${brokerRefusal}`;
    const findings = [withholding ? WITHHELD : undefined, refusal, ...this.stoppedConsumers()].filter(
      Boolean,
    );
    if (findings.length === 0) return indicator.up(detail);
    return degraded(indicator, { reason: findings.join('; '), ...detail });
  }

  /** Those that wait for the application to be mended. Those that try again are not among them: the broker or their source is away. */
  private stoppedConsumers(): readonly string[] {
    return this.runtime.consumers
      .map((consumer) => consumer.status())
      .filter(({ state }) => state === 'stopped')
      .map(({ name, reason }) => `the consumer ${name} has stopped: ${reason}`);
  }

  private notReady<const Key extends string>(
    indicator: ReturnType<HealthIndicatorService['check']>,
    { cause, peers }: BrokenPath,
    { graceMs = Number.POSITIVE_INFINITY }: ReadinessOptions,
  ): HealthIndicatorResult<Key> {
    const { broker, brokerReason, brokerRefusal } = this.runtime.engine.status;
    if (broker === 'up' && peers !== 'fails' && peers !== 'refused') {
      const reason =
        peers === 'none'
          ? `events do not return to this node: ${cause}`
          : `events do not return to this node, ${PEERS[peers]}: ${cause}`;
      return indicator.down({ reason });
    }
    const now = performance.now();
    this.awaySince ??= now;
    const awayMs = Math.round(now - this.awaySince);
    const reason =
      broker === 'up'
        ? `events do not return to this node, ${PEERS[peers]}: ${cause}`
        : `the broker is unreachable: ${brokerRefusal ?? brokerReason ?? cause}`;
    const detail = { reason, awayMs };
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

/** A node that sheds load still serves those who are there. */
function overloaded<const Key extends string>(
  indicator: ReturnType<HealthIndicatorService['check']>,
  shedding: SheddingStep,
  detail: Readonly<Record<string, unknown>>,
  { downFrom }: ReadinessOptions,
): HealthIndicatorResult<Key> {
  const all = { reason: `this node is overloaded, and sheds load up to "${shedding}"`, shedding, ...detail };
  const isDown =
    downFrom !== undefined && SHEDDING_STEPS.indexOf(shedding) >= SHEDDING_STEPS.indexOf(downFrom);
  return isDown ? indicator.down(all) : degraded(indicator, all);
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
