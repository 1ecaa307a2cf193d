import { EPOCHS } from './script.js';

/**
 * Begins every script that uses a log: the server's time, its incarnation, and the head of a log.
 *
 * A head is a hash: `e` epoch, `s` seq of the last event, `i` incarnation that it was last written under, `f` forks as
 * `epoch:lastSeq` separated by commas, `t` age in milliseconds at which events are dropped, `k` whether events are kept,
 * `z` how many of them, `o` a time that no kept event is older than, `x` and `y` when the keys of the head and the events
 * expire. For `g`, `n`, `p` and `q` see the memory of ids.
 *
 * The events are a stream of records. A record holds what was appended together: its id is `last-count`, the `seq` of its last
 * event and the number of its events, so an event is found by its `seq` and trimming by size reads nothing. `t` is the time,
 * `b` the events as JSON, `[` … `]` with `,\n` between two of them. Trimming leaves whole records; `z` bounds how many events a
 * read returns.
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
  local found = redis.call('HMGET', head, 'e', 's', 'i', 'f', 't', 'k', 'z', 'o', 'x', 'y', 'g', 'n',
    'p', 'q')
  local log = { head = head, e = found[1], s = tonumber(found[2]), f = found[4],
    t = tonumber(found[5]), kept = found[6] == '1', z = tonumber(found[7]) or 0, o = tonumber(found[8]) or 0,
    x = tonumber(found[9]) or 0, y = tonumber(found[10]) or 0, g = tonumber(found[11]), n = tonumber(found[12]) or 0,
    p = tonumber(found[13]) or 0, q = tonumber(found[14]) or 0 }
  if not log.e then
    log.new = true
    log.e, log.s, log.f = origin and unwritten(origin, token, headMs) or token, 0, ''
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
  if log.moved then redis.pcall('HSET', log.head, 'e', log.e, 'i', incarnation, 'f', log.f) end
  log.moved = false
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
