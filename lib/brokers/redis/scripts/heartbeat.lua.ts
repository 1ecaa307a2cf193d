import { RedisScript } from './script.js';

/**
 * Says that a node lives, and compares what the nodes of a deployment must agree on. Repeated with every heartbeat: the
 * data may have been lost meanwhile.
 *
 * KEYS: nodes, meta. ARGV: node, how long it counts as alive (ms), partitions. Answers partitions as stored, and the time.
 */
export const HEARTBEAT = new RedisScript(
  'heartbeat',
  `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('HSETNX', KEYS[2], 'partitions', ARGV[3])
local partitions = redis.call('HGET', KEYS[2], 'partitions')
if partitions == ARGV[3] then redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1]) end
return { partitions, now }
`,
);
