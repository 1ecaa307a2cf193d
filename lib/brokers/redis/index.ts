export { redisBroker, type RedisBroker } from './broker.js';
export type {
  RedisBrokerOptions,
  RedisClusterTarget,
  RedisReplicated,
  RedisSentinelTarget,
} from './options.js';
