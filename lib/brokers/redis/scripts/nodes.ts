import { NOW, RedisScript } from './script.js';

/** The nodes whose last heartbeat counts still, by the server's time. KEYS: nodes. */
export const LIVE_NODES = new RedisScript(
  `${NOW}return redis.call('ZRANGE', KEYS[1], '(' .. int(now), '+inf', 'BYSCORE')`,
);
