import { PRELUDE } from './prelude.js';
import { NOW, RedisScript } from './script.js';

/**
 * Appends a control record (G11), updates the stored bans, and returns the nodes that are to confirm: all in one step, so that
 * the records of two administrators have the same order in the log and in the bans that a later node loads.
 *
 * KEYS: head, stream, topic, table (bans or restrictions), nodes, and of restrictions the set of their ends, and what they take in
 * bytes, of those of the same owner and of the other. ARGV: token, head (ms), events, kept records, age (ms), field of the table or '',
 * its value as JSON or '' to remove it, how long it lasts (ms) or '', most restrictions of the owner, most bytes of them, the owner,
 * how long beyond its heartbeats a node is waited for (ms). What
 * is stored is its end by the server's time or nothing, a blank, and the JSON. Restrictions of the owner that have ended are removed,
 * some with each new one; above a bound those that end first are. What people put and lasts longer is not replaced by what is put
 * against spam. Answers the epoch of the records and the live nodes.
 *
 * A server that is full takes it too: what is kept of records and restrictions is bounded, and a revoke must not wait for memory.
 */
export const CONTROL = new RedisScript(
  `${PRELUDE}
-- A server lets a script that has written do all the rest, however full it is.
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', int(now - tonumber(ARGV[12] or '0')))
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
local ends = (ARGV[8] or '') == '' and '' or int(now + tonumber(ARGV[8]))
local function outlasted()
  if ARGV[11] ~= 'spam' or ends == '' or (KEYS[8] and not redis.call('ZSCORE', KEYS[8], ARGV[6])) then return false end
  local its = string.match(redis.call('HGET', KEYS[4], ARGV[6]) or '0 ', '^(%d*) ')
  return its == '' or tonumber(its or 0) >= tonumber(ends)
end
if ARGV[6] ~= '' and not outlasted() then
  local function weight(field)
    local length = #(redis.call('HGET', KEYS[4], field) or '')
    return length == 0 and 0 or length + 2 * #field + 200
  end
  local bytes = 0
  if KEYS[6] then
    bytes = tonumber(redis.call('GET', KEYS[7]) or '0')
    if redis.call('ZREM', KEYS[8], ARGV[6]) == 0 then bytes = bytes - weight(ARGV[6])
    else redis.call('SET', KEYS[9], int(math.max(tonumber(redis.call('GET', KEYS[9]) or '0') - weight(ARGV[6]), 0))) end
  end
  if ARGV[7] == '' then redis.call('HDEL', KEYS[4], ARGV[6]) else redis.call('HSET', KEYS[4], ARGV[6], ends .. ' ' .. ARGV[7]) end
  if KEYS[6] then
    if ARGV[7] == '' then redis.call('ZREM', KEYS[6], ARGV[6])
    else redis.call('ZADD', KEYS[6], ends == '' and '+inf' or ends, ARGV[6]) end
    bytes = bytes + weight(ARGV[6])
    local function drop(fields)
      for _, field in ipairs(fields) do
        bytes = bytes - weight(field)
        redis.call('ZREM', KEYS[6], field)
        redis.call('HDEL', KEYS[4], field)
      end
    end
    drop(redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', int(now), 'LIMIT', 0, 100))
    local count = redis.call('ZCARD', KEYS[6])
    while count > 0 and (count > tonumber(ARGV[9]) or bytes > tonumber(ARGV[10])) do
      drop(redis.call('ZRANGE', KEYS[6], 0, 0))
      count = count - 1
    end
    -- Those of an older version were not counted.
    redis.call('SET', KEYS[7], int(count == 0 and 0 or math.max(bytes, 0)))
  end
end
redis.call('SPUBLISH', KEYS[3], '1e' .. log.e .. ' ' .. int(seq) .. ' ' .. int(now) .. '\\n' .. ARGV[3])
return { log.e, redis.call('ZRANGE', KEYS[5], 0, -1) }
`,
);

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
