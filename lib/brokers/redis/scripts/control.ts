import { PRELUDE } from './prelude.js';
import { NOW, RedisScript } from './script.js';

/**
 * Appends a control record (G11), updates the stored bans, and returns the nodes that are to confirm: all in one step, so that
 * the records of two administrators have the same order in the log and in the bans that a later node loads.
 *
 * KEYS: head, stream, topic, table (bans or restrictions), nodes, and of restrictions the set of their ends. ARGV: token, head (ms),
 * events, kept records, age (ms), field of the table or '', its value as JSON or '' to remove it, how long it lasts (ms) or '', most
 * restrictions. What is stored is its end by the server's time or nothing, a blank, and the JSON. Restrictions that have ended are
 * removed, some with each new one; above the bound those that end first are. Answers the live nodes.
 */
export const CONTROL = new RedisScript(
  `${PRELUDE}
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
if ARGV[6] ~= '' then
  local ends = ARGV[8] == '' and '' or int(now + tonumber(ARGV[8]))
  if ARGV[7] == '' then redis.call('HDEL', KEYS[4], ARGV[6]) else redis.call('HSET', KEYS[4], ARGV[6], ends .. ' ' .. ARGV[7]) end
  if KEYS[6] then
    if ARGV[7] == '' then redis.call('ZREM', KEYS[6], ARGV[6])
    else redis.call('ZADD', KEYS[6], ends == '' and '+inf' or ends, ARGV[6]) end
    local gone = redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', int(now), 'LIMIT', 0, 100)
    local over = redis.call('ZCARD', KEYS[6]) - #gone - tonumber(ARGV[9])
    if over > 0 then gone = redis.call('ZRANGE', KEYS[6], 0, #gone + over - 1) end
    for _, field in ipairs(gone) do
      redis.call('ZREM', KEYS[6], field)
      redis.call('HDEL', KEYS[4], field)
    end
  end
end
redis.call('SPUBLISH', KEYS[3], '1e' .. log.e .. ' ' .. int(seq) .. ' ' .. int(now) .. '\\n' .. ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', int(now))
return redis.call('ZRANGE', KEYS[5], 0, -1)
`,
);

/**
 * A node's answer to a control record. It is stored too, as the message may be lost on its way to the sender.
 *
 * KEYS: answers, topic of the sender. ARGV: node, '1' or '0', how long the answers are kept (ms), message.
 */
export const CONFIRM = new RedisScript(
  `
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
