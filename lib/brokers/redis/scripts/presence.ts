import { ROOM } from './room.js';
import { RedisScript } from './script.js';

/**
 * Applies steps of presence to one channel, in order; without any it only ends leases that have run out.
 *
 * ARGV 5…: steps; for each kind (`e`nter, `r`enew, `u`pdate, `l`eave), member, device, generation, '1' when data is given,
 * data ('' for none), milliseconds of the lease or the grace.
 */
export const PRESENCE = new RedisScript(
  `${ROOM}
local function setData(member, data)
  local found = readMember(member)
  if not found or found.data == data then return end
  found.data = data
  writeMember(member, found)
  note(updated, member)
end

local function enter(member, device, generation, given, data, ms)
  local found = readDevice(device)
  if not found then
    -- One diff cannot say that a member left and that it joined.
    if gone[member] then announce() end
    local place = readMember(member)
    if place then
      place.count = place.count + 1
      note(updated, member)
    else
      order = order + 1
      redis.call('ZADD', ORDERS, int(order), member)
      place = { order = int(order), count = 1, data = '' }
      note(joined, member)
    end
    writeMember(member, place)
  end
  writeDevice(device, { generation = generation, leaving = false, member = member })
  redis.call('ZADD', LEASES, int(now + ms), device)
  if given then setData(member, data) end
end

-- A server that is full refuses here, before anything is written, what would take memory.
for step = 1, tonumber(ARGV[5]) do
  if ARGV[7 * step - 1] ~= 'l' then
    redis.call('ZADD', LEASES, 'XX', 0, '')
    break
  end
end
expire()
announce()
local at = 5
for step = 1, tonumber(ARGV[5]) do
  local kind, member, device, generation = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4])
  local given, data, ms = ARGV[at + 5] == '1', ARGV[at + 6], tonumber(ARGV[at + 7])
  at = at + 7
  local found = readDevice(device)
  -- An older generation neither changes nor ends a newer one's membership (P28).
  local fenced = found and generation < found.generation
  if fenced then
    found = nil
  elseif kind == 'e' or (kind == 'r' and (not found or generation > found.generation)) then
    enter(member, device, generation, given, data, ms)
  elseif kind == 'r' then
    if not found.leaving then redis.call('ZADD', LEASES, int(now + ms), device) end
  elseif kind == 'u' and found then
    found.generation = generation
    writeDevice(device, found)
    setData(member, data)
  elseif kind == 'l' and found then
    if ms <= 0 then
      endDevice(device)
    else
      -- A second leave may bring the end forward, never put it off.
      if found.leaving then redis.call('ZADD', LEASES, 'LT', int(now + ms), device)
      else redis.call('ZADD', LEASES, int(now + ms), device) end
      found.leaving = true
      writeDevice(device, found)
    end
  end
end
announce()
schedule()
return version
`,
);
