import { EPOCHS } from './script.js';

/**
 * Begins every script that uses a log: the server's time, its incarnation, and the head of a log.
 *
 * A head is a hash: `e` epoch, `s` seq of the last event, `i` incarnation that it was last written under, `f` forks as
 * `epoch:lastSeq` separated by commas, `t` age in milliseconds at which events are dropped, `k` whether events are kept,
 * `z` how many of them, `m` how many bytes of them, `c` bytes of all events that were ever kept, `a` how many of these are
 * certainly dropped, `o` a time that no kept event is older than, `x` and `y` when the keys of the head and the events
 * expire. For `g`, `n`, `p`, `q`, `r` see the memory of ids.
 *
 * The events are a stream of records. A record holds what was appended together: its id is `last-count`, the `seq` of its last
 * event and the number of its events, so an event is found by its `seq` and trimming by size reads nothing. `t` is the time,
 * `b` the events as JSON, `[` … `]` with `,\n` between two of them, `c` the bytes of all events before it, `l` the bytes of each
 * where there are several. Trimming leaves whole records; `z` and `m` bound, to the event, what a read returns.
 *
 * Another incarnation begins an epoch and keeps the one before as a fork, as nothing may have been lost (G6).
 *
 * A log that was never written has no head: who asks for it is told the epoch that its first event will have.
 */
export const PRELUDE = `${EPOCHS}
local MAX_FORKS = 8

local function remember(forks, epoch, tip)
  local kept = {}
  for name, seq in string.gmatch(forks, '([^:,]+):(%d+)') do
    kept[#kept + 1] = name .. ':' .. int(math.min(tonumber(seq), tip))
  end
  kept[#kept + 1] = epoch .. ':' .. int(tip)
  while #kept > MAX_FORKS do table.remove(kept, 1) end
  return table.concat(kept, ',')
end

-- The head as it is, under the incarnation of now. Nothing of the log is written.
local function open(head, origin, token, headMs)
  local found = redis.call('HMGET', head, 'e', 's', 'i', 't', 'k', 'z', 'o', 'x', 'y', 'm', 'c', 'a', 'g', 'n', 'p', 'r', 'f')
  local log = { head = head, e = found[1], s = tonumber(found[2]), t = tonumber(found[4]), kept = found[5] == '1',
    z = tonumber(found[6]) or 0, o = tonumber(found[7]) or 0, x = tonumber(found[8]) or 0, y = tonumber(found[9]) or 0,
    m = tonumber(found[10]), c = tonumber(found[11]) or 0, a = tonumber(found[12]) or 0, g = tonumber(found[13]),
    n = tonumber(found[14]) or 0, p = tonumber(found[15]) or 0, r = found[16], f = found[17] }
  if not log.e then
    log.new = true
    log.e, log.s, log.f = origin and unwritten(origin, token, headMs) or token, 0, ''
  elseif found[3] ~= incarnation and continues(found[3]) then
    log.renamed = true
  elseif found[3] ~= incarnation then
    log.moved = true
    log.f = remember(log.f, log.e, log.s)
    log.e = continued(log.e)
  end
  return log
end

-- Keeps what another incarnation changed, so that positions of this one stay known under the next. If the server refuses,
-- everybody finds the same name again.
local function keep(log)
  if log.renamed then redis.pcall('HSET', log.head, 'i', incarnation) end
  if log.moved then redis.pcall('HSET', log.head, 'e', log.e, 'i', incarnation, 'f', log.f) end
  log.moved, log.renamed = false, false
end

-- Makes the head of a log that is written for the first time. The first write of its script, as far as it can be: a server
-- that is full refuses this one, and none that comes after it.
local function begin(log)
  redis.call('HSET', log.head, 'e', log.e, 's', 0, 'i', incarnation, 'f', '')
  log.new = false
end

-- First and last seq of a record.
local function span(record)
  local last, count = string.match(record[1], '^(%d+)-(%d+)$')
  return tonumber(last) - tonumber(count) + 1, tonumber(last)
end

local function recordAt(log, seq) return redis.call('XRANGE', log.stream, int(seq), '+', 'COUNT', 1)[1] end

local function field(record, name)
  for index = 5, #record[2], 2 do if record[2][index] == name then return record[2][index + 1] end end
  return nil
end

-- The seq of the oldest event that the bound in bytes keeps, where \`kept\` is the oldest record.
local function oldestWithin(log, kept)
  local floor = log.m and log.c - log.m or 0
  local function begins(record) return tonumber(field(record, 'c')) or 0 end
  if begins(kept) >= floor then return (span(kept)) end
  local before, _, last = kept, span(kept)
  local low, high = last + 1, log.s + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local one = recordAt(log, middle)
    if one and begins(one) < floor then before = one; _, last = span(one); low = last + 1 else high = middle end
  end
  -- The record before may end within the bound.
  local sizes, left = {}, 0
  for size in string.gmatch(field(before, 'l') or '', '%d+') do
    sizes[#sizes + 1] = tonumber(size)
    left = left + tonumber(size)
  end
  left = begins(before) + left
  for index = #sizes, 1, -1 do
    left = left - sizes[index]
    if left < floor then break end
    low = low - 1
  end
  return low
end

-- Drops events past their age, and returns the first record that is left. Times ascend, so a binary search finds it.
local function dropAged(log)
  if not log.kept then return nil end
  local record = redis.call('XRANGE', log.stream, '-', '+', 'COUNT', 1)[1]
  local function aged(one) return one and log.t and now - tonumber(one[2][2]) >= log.t end
  if not aged(record) then return record end
  local _, last = span(record)
  local low, high = last + 1, log.s + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local one = recordAt(log, middle)
    if aged(one) then _, last = span(one); low = last + 1 else high = middle end
  end
  -- A server that refuses to write still reads.
  redis.pcall('XTRIM', log.stream, 'MINID', int(low))
  return recordAt(log, low)
end
`;
