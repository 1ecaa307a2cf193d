/** What a node said at one moment. */
export interface NodeSample {
  readonly node: string;
  readonly readings: Readonly<Record<string, number>>;
}

/** The nodes at one moment, with what happened a second since the moment before. */
export interface Sample {
  /** Seconds since the Unix epoch. */
  readonly at: number;
  readonly nodes: readonly NodeSample[];
  /** Nodes that did not answer. */
  readonly missing: readonly string[];
  /** How much a counter of all nodes grew, a second. */
  readonly rates: ReadonlyMap<string, number>;
}

/** Moments that are kept: five minutes. */
const MAX_SAMPLES = 300;

/** Names of readings that grow. */
export function isCounter(name: string): boolean {
  return name.endsWith('_total') || name.includes(':');
}

/** The last minutes of all nodes. */
export class Samples {
  private readonly kept: Sample[] = [];
  private readonly listeners = new Set<() => void>();

  get all(): readonly Sample[] {
    return this.kept;
  }

  get last(): Sample | undefined {
    return this.kept.at(-1);
  }

  /** @param at milliseconds since the Unix epoch. */
  add(at: number, nodes: readonly NodeSample[], missing: readonly string[]): void {
    const seconds = at / 1_000;
    if (this.last !== undefined && seconds <= this.last.at) return;
    this.kept.push({ at: seconds, nodes, missing, rates: this.ratesSince(this.last, seconds, nodes) });
    if (this.kept.length > MAX_SAMPLES) this.kept.shift();
    for (const listener of this.listeners) listener();
  }

  /** @returns ends that. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The sum of a gauge over the nodes. */
  static sum({ nodes }: Sample, name: string): number {
    return nodes.reduce((total, { readings }) => total + (readings[name] ?? 0), 0);
  }

  /** The greatest of a gauge over the nodes. */
  static most({ nodes }: Sample, name: string): number {
    return nodes.reduce((most, { readings }) => Math.max(most, readings[name] ?? 0), 0);
  }

  /** The rates of the counters that begin so, together. */
  static rateOf({ rates }: Sample, prefix: string): number {
    let total = 0;
    for (const [name, rate] of rates) if (name.startsWith(prefix)) total += rate;
    return total;
  }

  /** Since the page was opened, or for as long as moments are kept: how much each counter of a kind grew. */
  grown(kind: string): readonly (readonly [name: string, count: number])[] {
    const totals = new Map<string, number>();
    this.kept.forEach(({ at, rates }, index) => {
      const seconds = at - (this.kept[index - 1]?.at ?? at);
      for (const [name, rate] of rates)
        if (name.startsWith(`${kind}:`)) totals.set(name, (totals.get(name) ?? 0) + rate * seconds);
    });
    return [...totals]
      .map(([name, total]) => [name.slice(kind.length + 1), Math.round(total)] as const)
      .filter(([, total]) => total > 0)
      .sort(([, one], [, other]) => other - one);
  }

  /** Node by node: one that was away, or began again, counts from where it is. */
  private ratesSince(
    before: Sample | undefined,
    at: number,
    nodes: readonly NodeSample[],
  ): ReadonlyMap<string, number> {
    const rates = new Map<string, number>();
    if (before === undefined) return rates;
    const earlier = new Map(before.nodes.map(({ node, readings }) => [node, readings]));
    for (const { node, readings } of nodes) {
      const old = earlier.get(node);
      if (old === undefined) continue;
      for (const [name, value] of Object.entries(readings)) {
        if (!isCounter(name)) continue;
        const growth = value - (old[name] ?? 0);
        if (growth > 0) rates.set(name, (rates.get(name) ?? 0) + growth / (at - before.at));
      }
    }
    return rates;
  }
}
