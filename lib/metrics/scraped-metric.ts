import type { MetricDefinition } from './table/index.js';
import type { Sample } from './series.js';

/**
 * A metric as a registry of prom-client knows metrics: by its name, and by what `get()` resolves to. Counters of prom-client itself
 * make and hash a text of all labels for each increment, which costs too much where events are delivered.
 */
export class ScrapedMetric {
  readonly help: string;
  readonly type: MetricDefinition['type'];
  readonly aggregator: string;

  /**
   * @param name not read-only: a registry that speaks OpenMetrics takes `_total` off.
   * @param samples called at each scrape.
   */
  constructor(
    public name: string,
    { meaning, type, aggregator }: MetricDefinition,
    private readonly samples: () => readonly Sample[],
  ) {
    this.help = meaning;
    this.type = type;
    this.aggregator = aggregator ?? 'sum';
  }

  /** Called by the registry at each scrape. */
  async get(): Promise<{ name: string; help: string; type: string; aggregator: string; values: Sample[] }> {
    const { name, help, type, aggregator } = this;
    return { name, help, type, aggregator, values: [...this.samples()] };
  }

  /** Called by `registry.resetMetrics()`: what a node counts stays true, so nothing is reset. */
  reset(): void {
    return undefined;
  }
}
