import { ROOM } from './room.js';
import { RedisScript } from './script.js';

/**
 * A page of members in the order in which they joined. ARGV 4, 5: order after which the page begins, most members.
 * Returns epoch, version, count, cursor of the next page or ''; then member, devices and data of each.
 */
export const MEMBERS = new RedisScript(
  `${ROOM}
-- Leases that have run out end here too, unless the server refuses to write: then they end when it takes writes again.
if isDue() and type(redis.pcall('ZREM', LEASES, '')) == 'number' then
  expire()
  announce()
  schedule()
end
local limit = tonumber(ARGV[5])
local page = redis.call('ZRANGEBYSCORE', ORDERS, '(' .. ARGV[4], '+inf', 'LIMIT', 0, limit + 1)
local out = { epoch, version, redis.call('ZCARD', ORDERS), '' }
for index = 1, math.min(#page, limit) do
  local found = readMember(page[index])
  out[#out + 1], out[#out + 2], out[#out + 3] = page[index], found.count, found.data
  if index == limit and #page > limit then out[4] = found.order end
end
return out
`,
);
