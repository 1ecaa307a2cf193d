import type { MetricDefinition } from './table/index.js';

/** Most series of one metric. More could come only from an application that makes channels or handlers without end. */
const MAX_SERIES = 2_000;
/** What stands in all labels of the series that further ones share. */
const REST = 'other';

/** One line of a scrape. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Where it is not that of the metric. */
  readonly metricName?: string;
}

interface Labelled<Cell> {
  readonly values: readonly string[];
  readonly cell: Cell;
}

/** The series of one metric, by the values of up to three labels. Found without making anything; made once. */
class Series<Cell> {
  private readonly cells = new Map<string, Map<string, Map<string, Cell>>>();
  private readonly all: Labelled<Cell>[] = [];

  constructor(
    readonly labels: readonly string[],
    private readonly make: () => Cell,
  ) {}

  at(first = '', second = '', third = ''): Cell {
    return this.cells.get(first)?.get(second)?.get(third) ?? this.add(first, second, third);
  }

  list(): readonly Labelled<Cell>[] {
    return this.all;
  }

  labelsOf({ values }: Labelled<Cell>): Record<string, string> {
    return Object.fromEntries(this.labels.map((label, index) => [label, values[index] ?? '']));
  }

  private add(first: string, second: string, third: string): Cell {
    const isRest = first === REST && second === REST && third === REST;
    if (this.all.length >= MAX_SERIES && !isRest) return this.at(REST, REST, REST);
    let seconds = this.cells.get(first);
    if (seconds === undefined) this.cells.set(first, (seconds = new Map<string, Map<string, Cell>>()));
    let thirds = seconds.get(second);
    if (thirds === undefined) seconds.set(second, (thirds = new Map<string, Cell>()));
    const cell = this.make();
    thirds.set(third, cell);
    this.all.push({ values: [first, second, third], cell });
    return cell;
  }
}

/** A number that is counted up, or up and down. */
export class Count {
  value = 0;
}

/** How often values were at most each bound. */
export class Distribution {
  readonly counts: number[];
  sum = 0;
  count = 0;

  constructor(private readonly bounds: readonly number[]) {
    this.counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.sum += value;
    this.count++;
    const { bounds, counts } = this;
    for (let index = 0; index < bounds.length; index++) {
      if (value > (bounds[index] as number)) continue;
      counts[index] = (counts[index] as number) + 1;
      return;
    }
  }
}

/** The values of a counter or gauge. One without labels is there from the start, with 0. */
export class Counts extends Series<Count> {
  constructor({ labels }: MetricDefinition) {
    super(labels, () => new Count());
    if (labels.length === 0) this.at();
  }

  samples(): readonly Sample[] {
    return this.list().map((one) => ({ labels: this.labelsOf(one), value: one.cell.value }));
  }
}

/** The values of a histogram, in the form of Prometheus: each bucket counts those below it too. */
export class Distributions extends Series<Distribution> {
  private readonly bounds: readonly number[];

  constructor({ labels, buckets = [] }: MetricDefinition) {
    super(labels, () => new Distribution(buckets));
    this.bounds = buckets;
    if (labels.length === 0) this.at();
  }

  /** @param name of the metric, with its prefix. */
  samples(name: string): readonly Sample[] {
    return this.list().flatMap((one) => {
      const labels = this.labelsOf(one);
      const { counts, sum, count } = one.cell;
      let below = 0;
      const buckets = this.bounds.map((bound, index) => {
        below += counts[index] as number;
        return { labels: { ...labels, le: String(bound) }, value: below, metricName: `${name}_bucket` };
      });
      return [
        ...buckets,
        { labels: { ...labels, le: '+Inf' }, value: count, metricName: `${name}_bucket` },
        { labels, value: sum, metricName: `${name}_sum` },
        { labels, value: count, metricName: `${name}_count` },
      ];
    });
  }
}
