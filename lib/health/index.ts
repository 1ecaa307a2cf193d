export { RealtimeHealthIndicator, type ReadinessOptions } from './realtime-health-indicator.js';
export { RealtimeHealthModule } from './realtime-health.module.js';
