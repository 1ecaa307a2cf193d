import { RedisScript } from '../scripts/script.js';

/** The one consumer of a group: who has the lease reads in its name, so that the next one finds what was not acknowledged. */
const CONSUMER = 'nestjs-realtime';

// Keys of all: the stream, its lease, its identity. First arguments of all: the group, who asks, how long a lease lasts, and an identity.
const HOLD = `
local stream, lease, identity = KEYS[1], KEYS[2], KEYS[3]
local group, owner, ms, known = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local holder = redis.call('GET', lease)
`;

/**
 * Makes the group, and the stream where there is none. A group that had to be made may be that of another stream than before, with other
 * entries of the same ids: then the identity is the given one.
 *
 * Further argument: where the group begins.
 */
export const MAKE = new RedisScript(`${HOLD}
local made = redis.pcall('XGROUP', 'CREATE', stream, group, ARGV[5], 'MKSTREAM')
if made.err then
  if string.find(made.err, 'BUSYGROUP', 1, true) then return 0 end
  return made
end
redis.call('SET', identity, known)
return 1
`);

/**
 * Takes the lease or keeps it, and reads: what was delivered and not acknowledged behind an id, or with \`>\` what is new. In steps, so
 * that little is read above the bytes. What is left out of the answer is delivered, and is read behind the last id of it.
 *
 * Further arguments: the id, most entries, most bytes, and whether a lease that nobody has is taken: only by who reads from the
 * beginning what was not acknowledged, as another one may have read in between. @returns `false` where who asks does not have the lease,
 * or the identity, which is the given one where there was none, entries, whether some were left out, and where there are none the last
 * id of the stream.
 */
export const TAKE = new RedisScript(`${HOLD}
local isTaken = ARGV[8] == '1'
if holder ~= owner and (holder or not isTaken) then return false end
redis.call('SET', lease, owner, 'PX', ms)
redis.call('SET', identity, known, 'NX')
local is = redis.call('GET', identity)
local from, most, room = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
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
    if #taken > 0 and bytes + size > room then return {is, taken, 1, ''} end
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
return {is, taken, 0, stop}
`);

/** Acknowledges the ids that follow, of the stream of that identity, and keeps the lease. @returns 1, or 0 where another one has it. */
export const ACKNOWLEDGE = new RedisScript(`${HOLD}
if redis.call('GET', identity) ~= known then return 0 end
for first = 5, #ARGV, 1000 do
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
