import { PRELUDE } from './prelude.lua.js';
import { RedisScript } from './script.js';

/**
 * Says that a node lives, and compares what the nodes of a deployment must agree on. Repeated with every heartbeat: the
 * data may have been lost meanwhile.
 *
 * Also tells where the log of control records ends: a node that has all of them up to there knew every revoke at this moment
 * (G11).
 *
 * KEYS: nodes, meta, head and stream of the control records. ARGV: node, how long it counts as alive (ms), partitions, token,
 * head (ms). Answers partitions as stored and, when they are the node's, epoch and `seq` of the last control record.
 */
export const HEARTBEAT = new RedisScript(
  'heartbeat',
  `${PRELUDE}
redis.call('HSETNX', KEYS[2], 'partitions', ARGV[3])
local partitions = redis.call('HGET', KEYS[2], 'partitions')
if partitions ~= ARGV[3] then return { partitions } end
redis.call('ZADD', KEYS[1], int(now + ARGV[2]), ARGV[1])
local log = open(KEYS[3], KEYS[4], ARGV[4], ARGV[5])
return { partitions, log.e, log.s }
`,
);
