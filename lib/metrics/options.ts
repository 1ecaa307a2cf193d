import type { Registry } from 'prom-client';
import { BootProblems } from '../nest/errors/realtime-boot-error.js';
import { DURATION_HINT, toMilliseconds, type Duration } from '../nest/options/duration.js';

/** Where metrics go, and how they are called. */
export interface RealtimeMetricsOptions {
  /**
   * The registry of `prom-client` that the metrics are added to: any of your application. Default: the default one of `prom-client`,
   * which `@willsoto/nestjs-prometheus` serves too. Two applications of one process need two, or two prefixes.
   */
  readonly registry?: Pick<Registry, 'registerMetric' | 'removeSingleMetric' | 'getSingleMetric'>;
  /** What stands before all names. Default `'realtime_'`. */
  readonly prefix?: string;
  /**
   * How often a probe is sent on the path of events, for the round trip to the broker; `false` for never. Default `'15s'`.
   */
  readonly probeEvery?: Duration | false;
}

/** The options with their defaults. */
export interface MetricsConfig {
  /** `undefined` for the default one. */
  readonly registry: RealtimeMetricsOptions['registry'];
  readonly prefix: string;
  /** 0 for no probes. */
  readonly probeEveryMs: number;
}

const KNOWN = ['registry', 'prefix', 'probeEvery'];
const PREFIX = /^(?:[a-zA-Z_][a-zA-Z0-9_]*)?$/;
const DEFAULT_PROBE_MS = 15_000;
/** A shorter pause between probes would be load of its own, in milliseconds. */
const LEAST_PROBE_MS = 100;

/** @throws RealtimeBootError with every mistake at once. */
export function readMetricsOptions(given: RealtimeMetricsOptions): MetricsConfig {
  const problems = new BootProblems();
  const options: Partial<Record<keyof RealtimeMetricsOptions, unknown>> = given;
  for (const name of Object.keys(options))
    if (!KNOWN.includes(name))
      problems.add(`RealtimeMetricsModule: ${name}`, 'is no option.', `Use one of: ${KNOWN.join(', ')}.`);
  const { registry, prefix = 'realtime_', probeEvery = DEFAULT_PROBE_MS } = options;
  if (registry !== undefined && !isRegistry(registry))
    problems.add(
      'RealtimeMetricsModule: registry',
      'is no registry of prom-client.',
      'Give new Registry() of prom-client 15, or leave it out for its default one.',
    );
  if (typeof prefix !== 'string' || !PREFIX.test(prefix))
    problems.add(
      'RealtimeMetricsModule: prefix',
      'cannot begin the name of a metric.',
      'Use letters, digits and _, and no digit first, e.g. "shop_realtime_".',
    );
  const probeEveryMs = probeEvery === false ? 0 : toMilliseconds(probeEvery);
  if (probeEveryMs === undefined || (probeEvery !== false && probeEveryMs < LEAST_PROBE_MS))
    problems.add(
      'RealtimeMetricsModule: probeEvery',
      `is neither false nor a duration of at least ${LEAST_PROBE_MS} ms.`,
      DURATION_HINT,
    );
  problems.throwIfAny();
  return {
    registry: registry as RealtimeMetricsOptions['registry'],
    prefix: prefix as string,
    probeEveryMs: probeEveryMs as number,
  };
}

function isRegistry(value: unknown): boolean {
  return typeof (value as { registerMetric?: unknown } | null)?.registerMetric === 'function';
}
