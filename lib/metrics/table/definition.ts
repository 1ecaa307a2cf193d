/** One metric, as docs/metrics.md shows it. */
export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly unit: 'seconds' | 'bytes' | 'connections' | 'events' | 'operations' | 'records' | 'state';
  /** What its series differ in. None has a name or an id that a client, a user or a channel chose. */
  readonly labels: readonly string[];
  /** Upper bounds of a histogram. */
  readonly buckets?: readonly number[];
  /** How the values of several processes become one, where they share a scrape. Default: their sum. */
  readonly aggregator?: 'max' | 'min';
  readonly meaning: string;
  /** What an operator does about it. */
  readonly advice: string;
}

/** Seconds, from what is fast on one machine to what a user waits for. */
export const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
export const COUNTS = [1, 10, 100, 1_000, 10_000];
/** Advice on what only describes the load. */
export const NORMAL = 'None: it describes the load.';
