export { Backoff, delay, lookMs } from './backoff.js';
export { consumerOf } from './consumer.js';
export { LaneEnd } from './lane-end.js';
export {
  assertBeginning,
  assertOptions,
  consumeSettings,
  type ConsumeOptions,
  type ConsumeSettings,
  type DeadRecord,
  type OwnOptions,
} from './options.js';
export { idPrefix } from './record-ids.js';
export type { Lane, LaneWork, RecordSource, SourceRecord } from './source.js';
