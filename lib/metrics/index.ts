export type { RealtimeMetricsOptions } from './options.js';
export { RealtimeMetricsModule } from './realtime-metrics.module.js';
