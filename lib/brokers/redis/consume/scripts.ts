import { RedisScript } from '../scripts/script.js';

/** The one consumer of a group: who has the lease reads in its name, so that the next one finds what was not acknowledged. */
const CONSUMER = 'nestjs-realtime';

// Keys of all: the stream, its lease. First arguments of all: the group, who asks, and how long a lease lasts.
const HOLD = `
local stream, lease = KEYS[1], KEYS[2]
local group, owner, ms = ARGV[1], ARGV[2], ARGV[3]
local holder = redis.call('GET', lease)
`;

/**
 * Takes the lease or keeps it, and reads: what was delivered and not acknowledged behind an id, or with \`>\` what is new. In steps, so
 * that little is read above the bytes. What is left out of the answer is delivered, and is read behind the last id of it.
 *
 * Further arguments: the id, most entries, most bytes. @returns `false` where another one has the lease, or
 * entries, whether some were left out, and where there are none the last id of the stream.
 */
export const TAKE = new RedisScript(`${HOLD}
if holder and holder ~= owner then return false end
redis.call('SET', lease, owner, 'PX', ms)
local from, most, room = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local taken, bytes = {}, 0
while #taken < most do
  -- As many as there may be room for, by those before: the server does nothing else while it reads.
  local fit = #taken == 0 and 1 or math.max(1, math.floor((room - bytes) * #taken / math.max(bytes, 1)))
  local count = math.min(32, most - #taken, fit)
  local answer = redis.call('XREADGROUP', 'GROUP', group, '${CONSUMER}', 'COUNT', count, 'STREAMS', stream, from)
  local entries = answer and answer[1] and answer[1][2] or {}
  for _, entry in ipairs(entries) do
    local size = #entry[1]
    for _, text in ipairs(entry[2] or {}) do size = size + #text end
    if #taken > 0 and bytes + size > room then return {taken, 1, ''} end
    taken[#taken + 1] = {entry[1], entry[2] or {}}
    bytes = bytes + size
  end
  if #entries < count then break end
  if from ~= '>' then from = taken[#taken][1] end
end
local stop = ''
if #taken == 0 then
  local info = redis.call('XINFO', 'STREAM', stream)
  for index = 1, #info, 2 do if info[index] == 'last-generated-id' then stop = info[index + 1] end end
end
return {taken, 0, stop}
`);

/** Acknowledges the ids that follow, and keeps the lease. @returns 1, or 0 where another one has it. */
export const ACKNOWLEDGE = new RedisScript(`${HOLD}
for first = 4, #ARGV, 1000 do
  redis.call('XACK', stream, group, unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
if holder ~= owner then return 0 end
redis.call('SET', lease, owner, 'PX', ms)
return 1
`);

/** Keeps the lease. @returns how many entries are not acknowledged or not read, -1 where the server does not know it, `false` where another one has the lease. */
export const RENEW = new RedisScript(`${HOLD}
if holder ~= owner then return false end
redis.call('SET', lease, owner, 'PX', ms)
for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local facts = {}
  for index = 1, #info, 2 do facts[info[index]] = info[index + 1] end
  if facts.name == group then return facts.lag and facts.lag + facts.pending or -1 end
end
return -1
`);

/** Gives the lease back. */
export const RELEASE = new RedisScript(`${HOLD}
if holder == owner then redis.call('DEL', lease) end
return 1
`);
