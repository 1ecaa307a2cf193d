import { PRELUDE } from './prelude.js';
import { RedisScript } from './script.js';

/**
 * Registers a node as alive, and compares what the nodes of a deployment must agree on. Every heartbeat compares it again, as
 * the data may have been lost since the last one.
 *
 * Also returns where the log of control records ends: a node that has all records up to there knew every revoke at this moment
 * (G11).
 *
 * A server that is full takes it all the same, as the node is known already, or takes little; one that cannot write to its disk
 * (`MISCONF`) is read: no revoke can be stored there before it writes again, so what was read is a proof (G11). It is none where
 * replicas are missing or this is one: then another server may be the master, and have revokes that this one does not know.
 *
 * KEYS: layout, nodes, meta, head and stream of the control records. ARGV: layout, node, how long it counts as alive (ms),
 * partitions, token, head (ms). Returns layout and partitions as stored and, when they are the node's, epoch and `seq` of the
 * last control record, how many of the nodes that live have names before this one's, and what the server refused, in its words, or ''. A layout may be stored with an addition, as in `1.2`: that is the same layout.
 */
export const HEARTBEAT = new RedisScript(
  `${PRELUDE}
local written = redis.pcall('SETNX', KEYS[1], ARGV[1])
local refused = type(written) == 'table' and written.err or ''
if string.find(refused, '^OOM') then
  -- A server lets a script that has written do all the rest, and this writes nothing.
  redis.call('ZREM', KEYS[2], '')
  redis.call('SETNX', KEYS[1], ARGV[1])
elseif refused ~= '' and not string.find(refused, '^MISCONF') then
  return written
end
local layout = redis.call('GET', KEYS[1])
if not layout then return written end
if string.match(layout, '^%d+') ~= ARGV[1] then return { layout } end
redis.pcall('HSETNX', KEYS[3], 'partitions', ARGV[4])
local partitions = redis.call('HGET', KEYS[3], 'partitions')
if not partitions then return written end
if partitions ~= ARGV[4] then return { layout, partitions } end
redis.pcall('ZADD', KEYS[2], int(now + ARGV[3]), ARGV[2])
local log = open(KEYS[4], nil, ARGV[5])
if log.new then
  begin(log)
  redis.call('DEL', KEYS[5])
  redis.call('PEXPIRE', log.head, ARGV[6])
end
keep(log)
local rank = 0
for _, node in ipairs(redis.call('ZRANGE', KEYS[2], '(' .. int(now), '+inf', 'BYSCORE')) do
  if node < ARGV[2] then rank = rank + 1 end
end
return { layout, partitions, log.e, log.s, rank, refused }
`,
);
