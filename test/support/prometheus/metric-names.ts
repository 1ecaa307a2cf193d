import { METRICS, type MetricDefinition } from '../../../lib/metrics/table/index.js';

const definitions: Readonly<Record<string, MetricDefinition>> = METRICS;

/** The series that a scrape has of a metric. */
export function seriesOf(name: string, { type }: MetricDefinition): readonly string[] {
  const full = `realtime_${name}`;
  return type === 'histogram' ? [`${full}_bucket`, `${full}_sum`, `${full}_count`] : [full];
}
/** Every series, with its metric. */
const REAL = new Map(
  Object.entries(definitions).flatMap(([name, definition]) =>
    seriesOf(name, definition).map((series) => [series, definition] as const),
  ),
);

/** Whether a name is that of a metric, or of one of its series. */
export function isMetric(name: string): boolean {
  return REAL.has(name) || Object.hasOwn(definitions, name.replace(/^realtime_/, ''));
}

/** What is wrong with the names and labels of a query. */
export function faultsOf(expr: string): readonly string[] {
  const faults = [...expr.matchAll(/\brealtime_\w+/g)].flatMap(([name]) =>
    REAL.has(name) ? [] : [`${name} does not exist`],
  );
  for (const [, name = '', matchers = ''] of expr.matchAll(/\b(realtime_\w+)\{([^}]*)\}/g))
    for (const [, label = ''] of matchers.matchAll(/(\w+)\s*[=!]/g))
      if (!isLabelOf(name, label)) faults.push(`${name} has no label ${label}`);
  const known = [...expr.matchAll(/\brealtime_\w+/g)].map(([name]) => name);
  for (const [, labels = ''] of expr.matchAll(/\bby \(([^)]*)\)/g))
    for (const label of labels.split(',').map((text) => text.trim()))
      if (!known.some((name) => isLabelOf(name, label))) faults.push(`nothing has a label ${label}: ${expr}`);
  return faults;
}

export function isLabelOf(name: string, label: string): boolean {
  const isBucket = name.endsWith('_bucket') && label === 'le';
  return (
    label === 'instance' || label === 'job' || isBucket || REAL.get(name)?.labels.includes(label) === true
  );
}
