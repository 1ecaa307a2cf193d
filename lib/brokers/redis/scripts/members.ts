import { ROOM } from './room.js';
import { RedisScript } from './script.js';

/**
 * A page of members in the order in which they joined. ARGV 5–7: order after which the page begins, most members,
 * most bytes of them (the first is there however large it is). Returns epoch, version, count, cursor of the next page or ''; then member, devices and data of each.
 */
export const MEMBERS = new RedisScript(
  `${ROOM}
-- Leases that have run out end here too, unless the server refuses to write: then they end when it takes writes again.
if isDue() and type(redis.pcall('ZREM', LEASES, '')) == 'number' then
  expire()
  announce()
  schedule()
end
local limit = tonumber(ARGV[6])
local page = redis.call('ZRANGEBYSCORE', ORDERS, '(' .. ARGV[5], '+inf', 'LIMIT', 0, limit + 1)
local out = { epoch, version, redis.call('ZCARD', ORDERS), '' }
local bytes, last = tonumber(ARGV[7])
for index, member in ipairs(page) do
  local found = readMember(member)
  -- None where a key was lost and the server refuses the repair.
  if found then
    bytes = bytes - #member - #found.data
    if index > limit or (bytes < 0 and last) then
      out[4] = last
      break
    end
    out[#out + 1], out[#out + 2], out[#out + 3] = member, found.count, found.data
    last = found.order
  end
end
return out
`,
);
