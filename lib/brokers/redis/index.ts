export { redisBroker, type RedisBroker } from './broker.js';
export type {
  RedisBrokerOptions,
  RedisClusterTarget,
  RedisReplicated,
  RedisSentinelTarget,
} from './options.js';
export { fromRedisStreams, type FromRedisStreamsOptions } from './consume/from-redis-streams.js';
export type { RedisStreamRecord } from './consume/record.js';
export type { ConsumeOptions, DeadRecord } from '../../consumers/index.js';
export type { ConsumedEvent, RealtimeConsumer } from '../../core/ports/consumers.js';
