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
 * KEYS: layout, nodes, meta, head and stream of the control records, and the topic of the node's answers. ARGV: layout, node, how
 * long it counts as alive (ms), partitions, token, head (ms), how this node names the topics (see `RedisKeys.separate`), and how many
 * replicas there are where more are stored and this node found that they are gone (see `ReplicaProof`), or ''. Returns layout and partitions as stored and, when they are the node's, epoch and `seq` of the last control record, how many of the nodes that live
 * have names before this one's, what the server refused, in its words, or '', those nodes, how the topics are named, and of the
 * server: which process it is, how many bytes it had for replicas before this, most replicas that were connected under its present
 * identity, and what each that is connected has acknowledged. A layout may be stored with an addition, as in `1.2`: that is the same
 * layout.
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
local began = redis.pcall('HSETNX', KEYS[3], 'partitions', ARGV[4])
local partitions = redis.call('HGET', KEYS[3], 'partitions')
if not partitions then return written end
if partitions ~= ARGV[4] then return { layout, partitions } end
if began == 1 and (ARGV[7] or '') ~= '' then redis.pcall('HSET', KEYS[3], 'topics', ARGV[7]) end
local registered = redis.pcall('ZADD', KEYS[2], int(now + ARGV[3]), ARGV[2])
-- Not for want of memory or disk: this user may not, or the key is not what it should be. The others would not wait for this node.
if refused == '' and type(registered) == 'table' then return registered end
-- Something that replicas can acknowledge, and that is no write.
if refused ~= '' and KEYS[6] then redis.call('SPUBLISH', KEYS[6], '') end
local log = open(KEYS[4], nil, ARGV[5])
if log.new then
  begin(log)
  redis.call('DEL', KEYS[5])
  redis.call('PEXPIRE', log.head, ARGV[6])
end
keep(log)
local rank = 0
local nodes = redis.call('ZRANGE', KEYS[2], '(' .. int(now), '+inf', 'BYSCORE')
for _, node in ipairs(nodes) do
  if node < ARGV[2] then rank = rank + 1 end
end
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
local replication = redis.call('INFO', 'replication')
local offset = string.match(replication, 'master_repl_offset:(%d+)') or '0'
local acknowledged = {}
-- By address: of a replica that connects again, the connection before may be listed for another minute.
local places = {}
for replica, reached in string.gmatch(replication, 'slave%d+:(%S*)state=online,offset=(%d+)') do
  local place = places[replica] or #acknowledged + 1
  places[replica] = place
  acknowledged[place] = int(math.max(tonumber(acknowledged[place] or 0), tonumber(reached)))
end
-- For nodes that come while none is connected: they cannot know that there was one. A server that gives back its backlog, as it does
-- an hour after the last replica, has another identity and is none that was just promoted: it is the same process, and remembers
-- no other identity.
local of, most, by = string.match(redis.call('HGET', KEYS[3], 'followed') or '', '^(%x+) (%d+) ?(%x*)$')
local alone = by == server and server ~= '' and string.match(replication, 'master_replid2:(0+)%X') ~= nil
most = of and (alone or continues(of)) and tonumber(most) or 0
local left = tonumber(ARGV[8] or '')
local fewer = left ~= nil and left < most
if fewer then most = left end
if #acknowledged > most or fewer or most > 0 and (of ~= incarnation or by ~= server) then
  most = math.max(most, #acknowledged)
  redis.pcall('HSET', KEYS[3], 'followed', incarnation .. ' ' .. most .. ' ' .. server)
end
local topics = redis.call('HGET', KEYS[3], 'topics') or ''
return { layout, partitions, log.e, log.s, rank, refused, nodes, topics, server, offset, most, acknowledged }
`,
);
