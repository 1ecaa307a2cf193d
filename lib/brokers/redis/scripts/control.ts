import { PRELUDE } from './prelude.js';
import { NOW, RedisScript } from './script.js';

/**
 * What is kept of restrictions, for nodes that start later (G30): a table of those that hold, and for each owner when they end and what
 * they take in bytes. A ban of a user everywhere is in a table of its own, by user, as nodes of every version read it. What is stored of
 * one is its end by the server's time or nothing, a blank, and the JSON.
 *
 * KEYS from `first` on: ends and bytes of one owner, of the other one, restrictions, bans.
 */
const KEPT = (first: number) => `
local RESTRICTIONS, BANS = KEYS[${first + 4}], KEYS[${first + 5}]
-- The table of one, and its field there.
local function placeOf(name)
  local user = string.match(name, '^ban user  (.*)$')
  if user then return BANS, user end
  return RESTRICTIONS, name
end
local function stored(name)
  local place, field = placeOf(name)
  return redis.call('HGET', place, field)
end
local function weight(name)
  local length = #(stored(name) or '')
  return length == 0 and 0 or length + 2 * #name + 200
end
local function total(bytes) return tonumber(redis.call('GET', bytes) or '0') end
local function add(bytes, more) redis.call('SET', bytes, int(math.max(total(bytes) + more, 0))) end
-- Takes it out of those that count; one of an older version may be none of them.
local function discount(name)
  for key = ${first}, ${first + 2}, 2 do
    if redis.call('ZREM', KEYS[key], name) == 1 then add(KEYS[key + 1], -weight(name)) end
  end
end
local function drop(name)
  discount(name)
  local place, field = placeOf(name)
  redis.call('HDEL', place, field)
end
`;

/**
 * Appends a control record (G11), updates what is kept of restrictions, and returns the nodes that are to confirm: all in one step, so
 * that the records of two administrators have the same order in the log and in what a later node loads.
 *
 * KEYS: head, stream, topic, nodes, and those of what is kept, the owner's first. ARGV: token, head (ms), events, kept records, age (ms),
 * name of the restriction or '', its value as JSON or '' to remove it, how long it lasts (ms) or '', most restrictions of the owner,
 * most bytes of them, the owner, how long beyond its heartbeats a node is waited for (ms). Restrictions of the owner that have ended are
 * removed, some with each new one; above a bound those that end first are. What people put and lasts longer is not replaced by what is
 * put against spam. Answers the epoch of the records and the live nodes.
 *
 * A server that is full takes it too: what is kept of records and restrictions is bounded, and a revoke must not wait for memory.
 */
export const CONTROL = new RedisScript(
  `${PRELUDE}${KEPT(5)}
-- A server lets a script that has written do all the rest, however full it is.
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', int(now - tonumber(ARGV[12] or '0')))
local log = open(KEYS[1], nil, ARGV[1])
log.stream = KEYS[2]
if log.new then
  begin(log)
  redis.call('DEL', log.stream)
end
keep(log)
local seq = log.s + 1
redis.call('XADD', log.stream, 'MINID', '~', int(math.max(seq - tonumber(ARGV[4]) + 1, 0)), int(seq) .. '-1',
  't', int(now), 'b', ARGV[3])
redis.call('PEXPIRE', log.stream, ARGV[2])
redis.call('HSET', log.head, 's', int(seq), 't', ARGV[5], 'k', '1', 'z', ARGV[4])
redis.call('PEXPIRE', log.head, ARGV[2])
local name, ends = ARGV[6], (ARGV[8] or '') == '' and '' or int(now + tonumber(ARGV[8]))
local function outlasted()
  if ARGV[11] ~= 'spam' or ends == '' or redis.call('ZSCORE', KEYS[5], name) then return false end
  local its = string.match(stored(name) or '0 ', '^(%d*) ')
  return its == '' or tonumber(its or 0) >= tonumber(ends)
end
if name ~= '' and not outlasted() then
  if ARGV[7] == '' then drop(name)
  else
    discount(name)
    local place, field = placeOf(name)
    redis.call('HSET', place, field, ends .. ' ' .. ARGV[7])
    redis.call('ZADD', KEYS[5], ends == '' and '+inf' or ends, name)
    add(KEYS[6], weight(name))
  end
  for _, one in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', int(now), 'LIMIT', 0, 100)) do
    -- What is stored counts: a node of an older version that puts a ban again changes nothing else.
    local its = string.match(stored(one) or '0 ', '^(%d*) ')
    if its == '' or tonumber(its or 0) > now then redis.call('ZADD', KEYS[5], its == '' and '+inf' or its, one)
    else drop(one) end
  end
  local count = redis.call('ZCARD', KEYS[5])
  while count > 0 and (count > tonumber(ARGV[9]) or total(KEYS[6]) > tonumber(ARGV[10])) do
    drop(redis.call('ZRANGE', KEYS[5], 0, 0)[1])
    count = count - 1
  end
  if count == 0 then redis.call('SET', KEYS[6], 0) end
end
redis.call('SPUBLISH', KEYS[3], '1e' .. log.e .. ' ' .. int(seq) .. ' ' .. int(now) .. '\\n' .. ARGV[3])
return { log.e, redis.call('ZRANGE', KEYS[4], 0, -1) }
`,
);

/**
 * Removes restrictions that have ended: none that was put again since they were read. KEYS: those of what is kept, the owners in any
 * order. ARGV: their names.
 */
export const FORGET = new RedisScript(`${NOW}${KEPT(1)}
for _, name in ipairs(ARGV) do
  local ends = string.match(stored(name) or '', '^(%d+) ')
  if ends and tonumber(ends) <= now then drop(name) end
end
return 0
`);

/**
 * A node's answer to a control record. It is stored too, as the message may be lost on its way to the sender; on a server that is
 * full as well, by the same way.
 *
 * KEYS: answers, topic of the sender. ARGV: node, '1' or '0', how long the answers are kept (ms), message.
 */
export const CONFIRM = new RedisScript(
  `
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return redis.call('SPUBLISH', KEYS[2], ARGV[4])
`,
);

/**
 * The answers to a control record: node and '1' or '0' of each. A script, as ioredis gives the reply of a plain `HGETALL`
 * whatever form the process has set for it. KEYS: answers.
 */
export const ANSWERS = new RedisScript(`return redis.call('HGETALL', KEYS[1])`);

/** The server's time in milliseconds. KEYS: any key, which selects the server. */
export const TIME = new RedisScript(`${NOW}return { now }`);
