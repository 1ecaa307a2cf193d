import { RedisScript } from './script.js';

/**
 * Channels in which a lease or a grace has ended. The server's time decides, so the nodes' clocks may differ.
 *
 * KEYS: due of each partition. ARGV: most channels of each. Answers partition index (from 0) and channel of each.
 */
export const DUE = new RedisScript(
  'due',
  `
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
local out = {}
for index = 1, #KEYS do
  for _, channel in ipairs(redis.call('ZRANGEBYSCORE', KEYS[index], '-inf', now, 'LIMIT', 0, ARGV[1])) do
    out[#out + 1], out[#out + 2] = index - 1, channel
  end
end
return out
`,
);
