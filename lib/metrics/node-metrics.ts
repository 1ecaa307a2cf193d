import { register, type Metric } from 'prom-client';
import type { Clock } from '../core/ports/clock.js';
import type { Observer } from '../core/ports/observer.js';
import { RealtimeBootError } from '../nest/errors/realtime-boot-error.js';
import { METRICS, type MetricDefinition, type MetricName } from './table/index.js';
import { LoopDelay } from './loop-delay.js';
import type { MetricsConfig } from './options.js';
import { Probes } from './probes.js';
import { READINGS, type NodeStats, type Reading } from './readings.js';
import { Recorder } from './recorder.js';
import { ScrapedMetric } from './scraped-metric.js';
import type { Sample } from './series.js';

/** What metrics need of the node. */
export interface MeasuredNode {
  /** `undefined` before it has started. */
  stats(): NodeStats | undefined;
  probe(timeoutMs: number): Promise<number>;
}

/** The metrics of one node, in a registry of prom-client. */
export class NodeMetrics {
  /** Feeds those that are counted. */
  readonly observer: Observer;
  private readonly recorder = new Recorder();
  private readonly loopDelay: LoopDelay;
  private readonly probes: Probes;
  /** Names that the registry knows them by: it may change those that they have. */
  private readonly registered: string[] = [];
  private lastStats: NodeStats | undefined;

  constructor(
    private readonly config: MetricsConfig,
    private readonly node: MeasuredNode,
    clock: Clock,
  ) {
    this.observer = this.recorder.observer();
    const delays = this.recorder.distribution('event_loop_delay_seconds').at();
    this.loopDelay = new LoopDelay(clock, (delayMs) => delays.observe(delayMs / 1_000));
    const roundTrips = this.recorder.distribution('broker_round_trip_seconds').at();
    const failures = this.recorder.count('broker_probes_failed_total');
    // There from the start: what appears with its first value has no increase.
    const failed = { timeout: failures.at('timeout'), refused: failures.at('refused') };
    this.probes = new Probes({
      clock,
      everyMs: config.probeEveryMs,
      probe: (timeoutMs) => node.probe(timeoutMs),
      onRoundTrip: (roundTripMs) => roundTrips.observe(roundTripMs / 1_000),
      onFailed: (cause) => {
        failed[cause].value++;
      },
    });
  }

  private get registry(): NonNullable<MetricsConfig['registry']> {
    return this.config.registry ?? register;
  }

  /** Adds the metrics to the registry. @throws RealtimeBootError where it has one of their names. */
  start(): void {
    for (const [name, definition] of Object.entries(METRICS) as [MetricName, MetricDefinition][]) {
      const full = this.config.prefix + name;
      if (this.registry.getSingleMetric(full) !== undefined) {
        this.stop();
        throw taken(full);
      }
      const metric = new ScrapedMetric(full, definition, () => this.samplesOf(name, definition, full));
      // A registry uses of a metric what this class has, see there.
      this.registry.registerMetric(metric as unknown as Metric);
      this.registered.push(full);
    }
    this.loopDelay.start();
    this.probes.start();
  }

  /** Takes them out again: another application of the process may add its own. */
  stop(): void {
    this.loopDelay.stop();
    this.probes.stop();
    for (const name of this.registered.splice(0)) this.registry.removeSingleMetric(name);
  }

  private samplesOf(name: MetricName, definition: MetricDefinition, full: string): readonly Sample[] {
    const read = (READINGS as Partial<Record<MetricName, (stats: NodeStats) => readonly Reading[]>>)[name];
    if (read !== undefined) {
      const stats = this.stats();
      return stats === undefined ? [] : read(stats).map((reading) => sampleOf(definition, reading));
    }
    return definition.type === 'histogram'
      ? this.recorder.distribution(name as Parameters<Recorder['distribution']>[0]).samples(full)
      : this.recorder.count(name as Parameters<Recorder['count']>[0]).samples();
  }

  /** One look for all metrics of a scrape. */
  private stats(): NodeStats | undefined {
    if (this.lastStats !== undefined) return this.lastStats;
    this.lastStats = this.node.stats();
    queueMicrotask(() => (this.lastStats = undefined));
    return this.lastStats;
  }
}

function sampleOf({ labels }: MetricDefinition, [value, ...values]: Reading): Sample {
  return { value, labels: Object.fromEntries(labels.map((label, index) => [label, values[index] ?? ''])) };
}

function taken(name: string): RealtimeBootError {
  return new RealtimeBootError([
    {
      path: 'RealtimeMetricsModule',
      problem: `finds ${name} in the registry already.`,
      remedy:
        'Import it once; give two applications of one process a registry or a prefix each; close one before the next begins.',
    },
  ]);
}
