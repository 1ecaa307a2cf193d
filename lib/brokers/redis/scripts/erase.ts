import { PRELUDE } from './prelude.js';
import { RedisScript } from './script.js';

/**
 * Writes other events in the places of some, where they are kept. A stream cannot change a record and takes no id below its last: so
 * the records from the first that changes on are taken out and added again, with the ids, times and sizes that they had. What the
 * bounds keep, and where a later trimming cuts, is as it was. The time that it takes grows with the records behind the first one.
 *
 * KEYS: head, stream, origin. ARGV: token, head (ms), '1' to write something in any case, so that `WAIT` speaks of this call; then of
 * each event, ascending, its `seq` and what is written in its place. Returns epoch, tip, and each `seq` that is kept.
 */
export const ERASE = new RedisScript(
  `${PRELUDE}
local log = open(KEYS[1], KEYS[3], ARGV[1], ARGV[2])
log.stream = KEYS[2]
local kept = dropAged(log)
local oldest = kept and math.max(oldestWithin(log, kept), log.s - log.z + 1) or log.s + 1
local bodies, out = {}, {}
for at = 4, #ARGV, 2 do
  local seq = tonumber(ARGV[at])
  bodies[seq] = ARGV[at + 1]
  if seq >= oldest and seq <= log.s then out[#out + 1] = seq end
end

-- The text of a record with what is to be in the places of its events; JSON has no line break inside a string.
local function rewritten(text, first)
  local events, start, seq, changed = {}, 2, first, false
  while start <= #text do
    local stop = string.find(text, ',\\n', start, true) or #text
    local body = string.sub(text, start, stop - 1)
    local other = bodies[seq]
    if other and other ~= body then
      body = other
      changed = true
    end
    events[#events + 1] = body
    start = stop + 2
    seq = seq + 1
  end
  return changed, changed and '[' .. table.concat(events, ',\\n') .. ']' or text
end

-- Also of events that no read returns any more, and that no trimming has removed yet.
local records, from = {}, ARGV[4] and tonumber(ARGV[4]) or log.s + 1
while kept and from <= log.s do
  local chunk = redis.call('XRANGE', log.stream, int(from), '+', 'COUNT', 256)
  if #chunk == 0 then break end
  for _, record in ipairs(chunk) do
    local first, last = span(record)
    local touches = false
    for seq = first, last do touches = touches or bodies[seq] ~= nil end
    if touches then
      local changed, text = rewritten(record[2][4], first)
      if changed then
        record[2][4] = text
        record.changed = true
      end
    end
    if record.changed or #records > 0 then records[#records + 1] = record end
    from = last + 1
  end
end

if #records > 0 then
  -- First, as a server that is full refuses no removal, and nothing after the first write of a script.
  local ids = {}
  for index, record in ipairs(records) do
    ids[#ids + 1] = record[1]
    if #ids == 1000 or index == #records then
      redis.call('XDEL', log.stream, unpack(ids))
      ids = {}
    end
  end
  local _, last = span(records[1])
  redis.call('XSETID', log.stream, int(last) .. '-0', 'ENTRIESADDED', int(log.s), 'MAXDELETEDID', int(last) .. '-0')
  for _, record in ipairs(records) do redis.call('XADD', log.stream, record[1], unpack(record[2])) end
end
keep(log)
if ARGV[3] == '1' and not log.new then redis.call('HSET', log.head, 's', int(log.s)) end
return { log.e, log.s, unpack(out) }
`,
);
