import { CONTINUITY } from './continuity.js';
import { PRELUDE } from './prelude.js';
import { RedisScript } from './script.js';

/**
 * Tips of many logs of one slot; a log that was never written has one too (P11), and the head of a log that is asked for is
 * kept longer. Where positions are given it says of each whether it is one of its log still, so that a log that only has another name
 * need not be read.
 *
 * KEYS: head and origin of each log. ARGV: token, head (ms); then none, or epoch and `seq` for each log. Returns epoch and `seq` of
 * each, and 1 or 0 of its position, 0 where none is given.
 */
export const TIPS = new RedisScript(
  `${PRELUDE}${CONTINUITY}
local out = {}
for index = 1, #KEYS / 2 do
  local log = open(KEYS[2 * index - 1], KEYS[2 * index], ARGV[1], ARGV[2])
  keep(log)
  if not log.new and redis.call('PTTL', log.head) < tonumber(ARGV[2]) / 2 then
    redis.pcall('PEXPIRE', log.head, ARGV[2])
  end
  local epoch, seq = ARGV[2 * index + 1], ARGV[2 * index + 2]
  out[#out + 1], out[#out + 2], out[#out + 3] = log.e, log.s, epoch and holds(log, epoch, tonumber(seq)) and 1 or 0
end
return out
`,
);
