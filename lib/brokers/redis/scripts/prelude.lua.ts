/**
 * What every script that touches a log begins with: the server's time, its incarnation, and the head of a log.
 *
 * A head is a hash: `e` epoch, `s` seq of the last event, `i` incarnation it was last written under, `f` forks as
 * `epoch:lastSeq` separated by commas, `t` age in milliseconds at which events are dropped, `k` whether events are kept.
 *
 * `master_replid` is new whenever the data may be another: restart, failover, restored snapshot. It is also new when
 * nothing was lost, so a difference begins an epoch and keeps the one before as a fork (G6, P10).
 */
export const PRELUDE = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local incarnation = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local MAX_FORKS = 8

local function int(value) return string.format('%.0f', value) end

local function remember(forks, epoch, tip)
  local kept = {}
  for name, seq in string.gmatch(forks, '([^:,]+):(%d+)') do
    kept[#kept + 1] = name .. ':' .. int(math.min(tonumber(seq), tip))
  end
  kept[#kept + 1] = epoch .. ':' .. int(tip)
  while #kept > MAX_FORKS do table.remove(kept, 1) end
  return table.concat(kept, ',')
end

local function open(head, stream, epoch, headMs)
  local found = redis.call('HMGET', head, 'e', 's', 'i', 'f', 't', 'k')
  local log = { head = head, stream = stream, e = found[1], s = tonumber(found[2]), f = found[4],
    t = tonumber(found[5]), kept = found[6] == '1' }
  if not log.e then
    log.e, log.s, log.f, log.t, log.kept = epoch, 0, '', nil, false
    redis.call('DEL', stream)
    redis.call('HSET', head, 'e', epoch, 's', 0, 'i', incarnation, 'f', '')
    redis.call('PEXPIRE', head, headMs)
  elseif found[3] ~= incarnation then
    log.f = remember(log.f, log.e, log.s)
    log.e = epoch
    redis.call('HSET', head, 'e', epoch, 'i', incarnation, 'f', log.f)
  end
  return log
end

local function seqOf(entry) return tonumber(string.match(entry[1], '^(%d+)')) end

-- Drops what is past its age. Ids are dense and times ascend, so a binary search finds the border.
local function trimByAge(log)
  if not log.kept then return end
  local first = redis.call('XRANGE', log.stream, '-', '+', 'COUNT', 1)[1]
  if not first then return end
  log.oldest = seqOf(first)
  if not log.t or now - tonumber(first[2][2]) < log.t then return end
  local low, high = log.oldest + 1, log.s + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local entry = redis.call('XRANGE', log.stream, int(middle), '+', 'COUNT', 1)[1]
    if entry and now - tonumber(entry[2][2]) >= log.t then low = middle + 1 else high = middle end
  end
  redis.call('XTRIM', log.stream, 'MINID', int(low))
  log.oldest = low
end
`;
