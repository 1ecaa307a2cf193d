import { NOW, RedisScript } from './script.js';

/**
 * Renews the leases of devices, in many rooms. Only of those that are there: nothing is announced, and no room changes. A device that
 * renews late has been there all the time, unless its end was announced before. A server that is full renews too, as nothing takes
 * more memory. A room that is damaged fails alone.
 *
 * KEYS: the five keys of each room, and due of its partition. ARGV 1…3: room (ms), lease (ms), rooms; then for each room channel and
 * devices, of each device its name and its generation. Answers which devices have to enter again (from 1): they are not there, or of
 * an older generation, or their room lost a key; and the errors of rooms that are damaged.
 *
 * The keys of a room live for at least 7/8 of its time beyond the last lease, so that not every renewal must renew them.
 */
export const RENEW = new RedisScript(
  `${NOW}
local roomMs, leaseMs = tonumber(ARGV[1]), tonumber(ARGV[2])
local ends = now + leaseMs
local endsText, eighth = int(ends), math.floor(8 * ends / roomMs)
local again, errors, at, number = {}, {}, 3, 0

-- A server lets a script that has written do all the rest, and this writes nothing. What it refuses, it refuses all of them.
local refused = redis.pcall('ZREM', KEYS[6], '')
if type(refused) == 'table' and not string.find(refused.err, '^WRONGTYPE') then return refused end

local function renew(key, channel, devices)
  local DEVICES, LEASES, DUE = KEYS[key + 4], KEYS[key + 5], KEYS[key + 6]
  local whole = redis.call('EXISTS', KEYS[key + 1], KEYS[key + 2], KEYS[key + 3]) == 3
  local renewed, longer = false, false
  for place = 1, devices do
    local device, generation = ARGV[at + 2 * place - 1], tonumber(ARGV[at + 2 * place])
    local found = whole and redis.call('HGET', DEVICES, device)
    local before = found and redis.call('ZSCORE', LEASES, device)
    local newest, leaving = string.match(found or '', '^(%d+) (%d)')
    if not before or generation > tonumber(newest) then
      again[#again + 1] = number + place
    elseif leaving == '0' and generation == tonumber(newest) then
      redis.call('ZADD', LEASES, endsText, device)
      renewed = true
      longer = longer or eighth > math.floor(8 * before / roomMs)
    end
  end
  if renewed then redis.call('ZADD', DUE, redis.call('ZRANGE', LEASES, 0, 0, 'WITHSCORES')[2], channel) end
  if longer then
    for index = 1, 5 do redis.call('PEXPIRE', KEYS[key + index], int(leaseMs + roomMs)) end
  end
end

for room = 1, tonumber(ARGV[3]) do
  local channel, devices = ARGV[at + 1], tonumber(ARGV[at + 2])
  at = at + 2
  local done, failed = pcall(renew, 6 * room - 6, channel, devices)
  if not done then errors[#errors + 1] = type(failed) == 'table' and failed.err or 'ERR ' .. tostring(failed) end
  at, number = at + 2 * devices, number + devices
end
return { again, errors }
`,
);
