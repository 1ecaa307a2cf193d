import { NOW, RedisScript } from './script.js';

/**
 * Channels in which a lease or a grace has ended, by the server's time: the clocks of the nodes may differ.
 *
 * KEYS: due of each partition. ARGV: most channels of each. Answers partition index (from 0) and channel of each.
 */
export const DUE = new RedisScript(
  `${NOW}
local out = {}
for index = 1, #KEYS do
  for _, channel in ipairs(redis.call('ZRANGEBYSCORE', KEYS[index], '-inf', int(now), 'LIMIT', 0, ARGV[1])) do
    out[#out + 1], out[#out + 2] = index - 1, channel
  end
end
return out
`,
);
