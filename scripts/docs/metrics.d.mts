import type { MetricDefinition } from '../../lib/metrics/table/index.js';

export function renderMetrics(document: string, metrics: Readonly<Record<string, MetricDefinition>>): string;
