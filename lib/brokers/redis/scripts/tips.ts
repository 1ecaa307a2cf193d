import { PRELUDE } from './prelude.js';
import { RedisScript } from './script.js';

/**
 * Tips of many logs of one slot; a log that was never written has one too (P11), and the head of a log that is asked for is
 * kept longer.
 *
 * KEYS: head and origin of each log. ARGV: token, head (ms). Returns epoch and `seq` of each.
 */
export const TIPS = new RedisScript(
  `${PRELUDE}
local out = {}
for index = 1, #KEYS / 2 do
  local log = open(KEYS[2 * index - 1], KEYS[2 * index], ARGV[1], ARGV[2])
  keep(log)
  if not log.new and redis.call('PTTL', log.head) < tonumber(ARGV[2]) / 2 then
    redis.pcall('PEXPIRE', log.head, ARGV[2])
  end
  out[2 * index - 1], out[2 * index] = log.e, log.s
end
return out
`,
);
