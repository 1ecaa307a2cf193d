import { NOW, RedisScript } from './script.js';

/**
 * Renews the leases of devices, in many rooms of a partition. Only of those that are there: nothing is announced, and no room
 * changes. A device that renews late has been there all the time, unless its end was announced before. A server that is full renews
 * too, as nothing takes more memory.
 *
 * KEYS 1: due; then the five keys of each room. ARGV 1…3: room (ms), lease (ms), rooms; then for each room channel and devices, of
 * each device its name and its generation. Answers which devices have to enter again (from 1): they are not there, or of an older
 * generation, or their room lost a key.
 *
 * The keys of a room live for at least 7/8 of its time beyond the last lease, so that not every renewal must renew them.
 */
export const RENEW = new RedisScript(
  `${NOW}
local DUE = KEYS[1]
local roomMs, leaseMs = tonumber(ARGV[1]), tonumber(ARGV[2])
local ends = now + leaseMs
local out, at, number = {}, 3, 0

-- A server lets a script that has written do all the rest, and this writes nothing.
redis.call('ZREM', DUE, '')
for room = 1, tonumber(ARGV[3]) do
  local key = 5 * room - 4
  local DEVICES, LEASES = KEYS[key + 4], KEYS[key + 5]
  local channel, devices = ARGV[at + 1], tonumber(ARGV[at + 2])
  local whole = redis.call('EXISTS', KEYS[key + 1], KEYS[key + 2], KEYS[key + 3], DEVICES, LEASES) == 5
  local renewed, longer = false, false
  at = at + 2
  for _ = 1, devices do
    local device, generation = ARGV[at + 1], tonumber(ARGV[at + 2])
    at = at + 2
    number = number + 1
    local found = whole and redis.call('HGET', DEVICES, device)
    local before = found and redis.call('ZSCORE', LEASES, device)
    local newest, leaving = string.match(found or '', '^(%d+) (%d)')
    if not before or generation > tonumber(newest) then
      out[#out + 1] = number
    elseif leaving == '0' and generation == tonumber(newest) then
      redis.call('ZADD', LEASES, int(ends), device)
      renewed = true
      longer = longer or math.floor(8 * ends / roomMs) > math.floor(8 * before / roomMs)
    end
  end
  if renewed then redis.call('ZADD', DUE, redis.call('ZRANGE', LEASES, 0, 0, 'WITHSCORES')[2], channel) end
  if longer then
    for index = 1, 5 do redis.call('PEXPIRE', KEYS[key + index], int(leaseMs + roomMs)) end
  end
end
return out
`,
);
