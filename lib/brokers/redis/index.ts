export { redisBroker, type RedisBroker } from './redis.broker.js';
export type {
  RedisBrokerOptions,
  RedisClusterTarget,
  RedisReplicated,
  RedisSentinelTarget,
} from './redis.options.js';
