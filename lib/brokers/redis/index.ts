export { RedisBroker, redisBroker } from './redis.broker.js';
export type {
  RedisBrokerOptions,
  RedisClusterTarget,
  RedisReplicated,
  RedisSentinelTarget,
} from './redis.options.js';
