import { EPOCHS } from './script.js';

/** Most bytes of members in one message; a single one that is larger is sent alone. */
const MAX_DIFF_BYTES = 256 * 1024;

/**
 * The members of one channel (G19), as the scripts of presence share them.
 *
 * KEYS 1…8: room (`e` epoch, `v` version, `o` last order, `i` incarnation), members (member → `order devices data`),
 * orders (member by order), devices (device → `generation leaving member`), leases (device by its end), due (of the
 * partition: channel by the earliest end), topic, origin. ARGV 1…4: token, room (ms), channel, '1' where leases may end.
 *
 * Data is JSON in a canonical form, so that equal data is equal text. Changes are collected until `announce`, so that what
 * happens at once is one diff. As with logs, another incarnation begins an epoch: after a failover to a replica that was
 * behind, versions would repeat with other content. A room has a key from its first change on. Its keys live as long as one
 * another, beyond the last lease. One that lost a key (evicted, or
 * deleted by hand) begins an epoch too; where a part of its members was lost it begins without members, and whoever is there is
 * back with the next renewal.
 */
export const ROOM = `${EPOCHS}
local MAX_DIFF_BYTES = ${MAX_DIFF_BYTES}
local ROOM, MEMBERS, ORDERS, DEVICES, LEASES, DUE, TOPIC = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]

local state = redis.call('HMGET', ROOM, 'e', 'v', 'o', 'i')
local members, devices = redis.call('HLEN', MEMBERS), redis.call('HLEN', DEVICES)
-- Of some members a part is missing: they would never leave, or never be seen.
local broken = members ~= redis.call('ZCARD', ORDERS) or devices ~= redis.call('ZCARD', LEASES)
  or (members == 0) ~= (devices == 0)
if broken or (devices > 0 and not state[1]) then
  local last = broken and 0 or redis.call('ZRANGE', ORDERS, -1, -1, 'WITHSCORES')[2]
  -- A server that is full refuses this, and nothing is repaired.
  if type(redis.pcall('HSET', ROOM, 'e', ARGV[1], 'v', 0, 'o', last, 'i', incarnation)) == 'number' then
    redis.call('PEXPIRE', ROOM, ARGV[2])
    if broken then redis.call('UNLINK', MEMBERS, ORDERS, DEVICES, LEASES) end
    state = { ARGV[1], 0, last, incarnation }
  end
end
local epoch, version, order = state[1], tonumber(state[2]) or 0, tonumber(state[3]) or 0
local new = not epoch
if new then
  epoch, version = unwritten(KEYS[8], ARGV[1], ARGV[2]), 0
elseif not continues(state[4]) then
  epoch, version = continued(epoch), 0
  -- If the server refuses, everybody finds the same name again.
  redis.pcall('HSET', ROOM, 'e', epoch, 'v', 0, 'i', incarnation)
end

local joined, updated, gone = {}, {}, {}
local touched = {}
local function note(list, member)
  list[member] = true
  touched[#touched + 1] = member
end

local function readMember(member)
  local text = redis.call('HGET', MEMBERS, member)
  if not text then return nil end
  local place, count, data = string.match(text, '^(%d+) (%d+) (.*)$')
  return { order = place, count = tonumber(count), data = data }
end

local function writeMember(member, found)
  redis.call('HSET', MEMBERS, member, found.order .. ' ' .. int(found.count) .. ' ' .. found.data)
end

local function readDevice(device)
  local text = redis.call('HGET', DEVICES, device)
  if not text then return nil end
  local generation, leaving, member = string.match(text, '^(%d+) (%d) (.*)$')
  return { generation = tonumber(generation), leaving = leaving == '1', member = member }
end

local function writeDevice(device, found)
  redis.call('HSET', DEVICES, device, int(found.generation) .. ' ' .. (found.leaving and '1' or '0') .. ' ' .. found.member)
end

local function endDevice(device)
  local found = readDevice(device)
  redis.call('ZREM', LEASES, device)
  if not found then return end
  redis.call('HDEL', DEVICES, device)
  local member = readMember(found.member)
  if not member then return end
  member.count = member.count - 1
  if member.count > 0 then
    writeMember(found.member, member)
    note(updated, found.member)
    return
  end
  redis.call('HDEL', MEMBERS, found.member)
  redis.call('ZREM', ORDERS, found.member)
  updated[found.member] = nil
  -- Joined and left within one diff: no node has seen it.
  if joined[found.member] then joined[found.member] = nil else note(gone, found.member) end
end

local function view(member)
  local found = readMember(member)
  local data = found.data ~= '' and ',"data":' .. found.data or ''
  return '{"id":' .. cjson.encode(member) .. ',"devices":' .. int(found.count) .. data .. '}'
end

-- Publishes what changed since the last call, as the next version; as several where one message would be too large.
local function announce()
  local parts, done, size = {}, {}, MAX_DIFF_BYTES
  local count = redis.call('ZCARD', ORDERS)
  local function add(kind, text)
    if size + #text > MAX_DIFF_BYTES then
      parts[#parts + 1] = { join = {}, update = {}, leave = {} }
      size = 0
    end
    local list = parts[#parts][kind]
    list[#list + 1] = text
    size = size + #text
  end
  for _, member in ipairs(touched) do
    if not done[member] then
      done[member] = true
      if joined[member] then
        add('join', view(member))
        count = count - 1
      elseif updated[member] then
        add('update', view(member))
      elseif gone[member] then
        add('leave', cjson.encode(member))
        count = count + 1
      end
    end
  end
  joined, updated, gone, touched = {}, {}, {}, {}
  if #parts == 0 then return end
  redis.call('HSET', ROOM, 'e', epoch, 'v', int(version + #parts), 'o', int(order), 'i', incarnation)
  redis.call('PEXPIRE', ROOM, ARGV[2])
  if new then beginning(KEYS[8], ARGV[2]) end
  new = false
  for _, part in ipairs(parts) do
    version = version + 1
    count = count + #part.join - #part.leave
    redis.call('SPUBLISH', TOPIC, '1p{"epoch":' .. cjson.encode(epoch) .. ',"version":' .. int(version) .. ',"previous":'
      .. int(version - 1) .. ',"join":[' .. table.concat(part.join, ',') .. '],"update":['
      .. table.concat(part.update, ',') .. '],"leave":[' .. table.concat(part.leave, ',') .. '],"count":' .. int(count) .. '}')
  end
end

-- Ends leases that have run out, a thousand at most; the next call ends the others.
local mayEnd = ARGV[4] == '1'
local function expire()
  if not mayEnd then return end
  for _, device in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', int(now), 'LIMIT', 0, 1000)) do endDevice(device) end
end

local function isDue() return mayEnd and redis.call('ZRANGEBYSCORE', LEASES, '-inf', int(now), 'LIMIT', 0, 1)[1] end

local function schedule()
  local first = redis.call('ZRANGE', LEASES, 0, 0, 'WITHSCORES')[2]
  if not first then
    redis.call('ZREM', DUE, ARGV[3])
    return
  end
  redis.call('ZADD', DUE, first, ARGV[3])
  local last = redis.call('ZRANGE', LEASES, -1, -1, 'WITHSCORES')[2]
  local ms = int(math.max(last - now, 0) + ARGV[2])
  for index = 1, 5 do redis.call('PEXPIRE', KEYS[index], ms) end
end
`;
