import { PRELUDE } from './prelude.js';
import { RedisScript } from './script.js';

/**
 * Appends a control record (G11), keeps the bans, and says which nodes are to confirm: all in one step, so that the order
 * of two administrators is the same in the log and in what a node that starts later is told.
 *
 * KEYS: head, stream, topic, bans, nodes. ARGV: token, head (ms), events, kept records, age (ms), banned user or '', its
 * ban as JSON or '' to lift it. Answers the live nodes.
 */
export const CONTROL = new RedisScript(
  'control',
  `${PRELUDE}
local log = open(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
local seq = log.s + 1
redis.call('XADD', log.stream, 'MINID', '~', int(math.max(seq - tonumber(ARGV[4]) + 1, 0)), int(seq) .. '-1',
  't', int(now), 'b', ARGV[3])
redis.call('PEXPIRE', log.stream, ARGV[2])
redis.call('HSET', log.head, 's', int(seq), 't', ARGV[5], 'k', '1', 'z', ARGV[4])
redis.call('PEXPIRE', log.head, ARGV[2])
if ARGV[6] ~= '' then
  if ARGV[7] == '' then redis.call('HDEL', KEYS[4], ARGV[6]) else redis.call('HSET', KEYS[4], ARGV[6], ARGV[7]) end
end
redis.call('SPUBLISH', KEYS[3], '1e' .. log.e .. ' ' .. int(seq) .. ' ' .. int(now) .. '\\n' .. ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', int(now))
return redis.call('ZRANGE', KEYS[5], 0, -1)
`,
);
