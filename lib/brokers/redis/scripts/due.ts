import { NOW, RedisScript } from './script.js';

/**
 * Channels in which a lease or a grace has ended, by the server's time: the clocks of the nodes may differ.
 *
 * KEYS: due of each partition. ARGV: most channels of each. Answers for each partition 1 where there are leases in it, else 0; and
 * the channels.
 */
export const DUE = new RedisScript(
  `${NOW}
local busy, channels = {}, {}
for index, key in ipairs(KEYS) do
  local ends = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  busy[index] = ends and 1 or 0
  if ends and tonumber(ends) <= now then
    for _, channel in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', int(now), 'LIMIT', 0, ARGV[1])) do
      channels[#channels + 1] = channel
    end
  end
end
return { busy, channels }
`,
);
