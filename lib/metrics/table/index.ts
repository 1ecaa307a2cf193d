import { CHANNEL_METRICS } from './channels.js';
import { CLIENT_METRICS } from './clients.js';
import { NODE_METRICS } from './node.js';
import { TARGET_METRICS } from './targets.js';

export type { MetricDefinition } from './definition.js';

/** All metrics, by their name behind the prefix. The one place that lists them: docs/metrics.md is made from it. */
export const METRICS = { ...CLIENT_METRICS, ...CHANNEL_METRICS, ...NODE_METRICS, ...TARGET_METRICS };

/** Name of a metric, behind the prefix. */
export type MetricName = keyof typeof METRICS;
