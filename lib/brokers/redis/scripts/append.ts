import { MEMORY } from './memory.js';
import { PRELUDE } from './prelude.js';
import { RedisScript } from './script.js';

/**
 * Appends many events, to many logs of one slot. The events are in sections; a section is a run of events of one log, becomes
 * one record of it, and is published as one message.
 *
 * KEYS: of each section head, stream, topic, both hashes of ids, origin. ARGV: token, touch, sections; of each section retain,
 * size, ttl, dedupe, head (ms), most bytes, events, ids, form, bytes, bytes of each event ('' for one),
 * the events as the record will have them, the ids; then what its form needs:
 * - `p`lain: nothing. No event has an id that is remembered, or an `after`.
 * - `i`ds: the claim of each event, `section-rank fingerprint` as it is remembered. Each event has an id of its own, in the
 *   order of the ids, and no `after`. A section is called `token.number`.
 * - `m`ixed: of each event id, after (1-based among the ids, 0 for none), fingerprint. An id is negative where the event is only
 *   looked for: its producer may have no further one.
 *
 * Returns, for each section, its epoch and the `seq` of its first event; when not all were appended, also for each event its
 * `seq`, or `seq epoch` of a duplicate, or `c` (conflict), `o` (out of order), `r` (looked for, and
 * not known). Of a section that failed, '' and the error.
 *
 * `touch` writes something even when every event is a duplicate: `WAIT` is about this connection's last write, so a retry would
 * otherwise be acknowledged as replicated although no replica was asked.
 *
 * The keys of a log outlive their time by up to a quarter of it, so that not every append must renew them; what a read returns
 * is bounded by the times and sizes themselves.
 */
export const APPEND = new RedisScript(
  `${PRELUDE}${MEMORY}
local token, touch = ARGV[1], ARGV[2] == '1'

-- The events of a section without those that were not appended, and their bytes. JSON has no line break inside a string.
local function appended(text, sizes, bytes, answers)
  local kept, start = {}, 2
  local each, sum, item = {}, 0, 0
  for size in string.gmatch(sizes, '%d+') do
    item = item + 1
    if type(answers[item]) == 'number' then
      each[#each + 1] = size
      sum = sum + size
    end
  end
  for item = 1, #answers do
    local stop = string.find(text, ',\\n', start, true) or #text
    if type(answers[item]) == 'number' then kept[#kept + 1] = string.sub(text, start, stop - 1) end
    start = stop + 2
  end
  return '[' .. table.concat(kept, ',\\n') .. ']', each[2] and table.concat(each, ',') or '', each[1] and sum or bytes
end

-- The seq of an event that is appended, or why it is not.
local function decide(log, memory, id, after, print)
  local known = id ~= 0 and memory.find(math.abs(id))
  if known then return known.print == print and int(known.seq) .. ' ' .. known.epoch or 'c' end
  if id < 0 then return 'r' end
  if after > 0 and not memory.find(after) then return 'o' end
  log.s = log.s + 1
  if id > 0 then memory.add(id, log.s, print) end
  return log.s
end

-- Lets a key live for at least that long; a little longer, so that not every append must renew it. The head's field says until when.
local function outlive(log, field, key, ms)
  if now + ms <= log[field] then return end
  local longer = ms + math.ceil(ms / 8)
  redis.call('PEXPIRE', key, int(longer))
  log[field] = now + longer
  log.set(field, int(log[field]))
end

local function store(log, count, text, sizes, bytes, retain, size, ttl, most)
  if retain then
    if not log.kept then
      log.set('k', '1')
      log.kept, log.o, log.y = true, 0, 0
    end
    if log.z ~= size then log.set('z', size) end
    if log.t ~= ttl then
      log.set('t', int(ttl))
      log.t, log.o = ttl, 0
    end
    if log.m ~= most then
      log.set('m', int(most))
      log.m = most
    end
    local record = { 't', int(now), 'b', text, 'c', int(log.c) }
    if sizes ~= '' then record[#record + 1], record[#record + 2] = 'l', sizes end
    redis.call('XADD', log.stream, 'MINID', '~', int(math.max(log.s - size + 1, 0)), int(log.s) .. '-' .. count,
      unpack(record))
    log.c = log.c + bytes
    log.set('c', int(log.c))
    -- Not with every append, as it has to look for the place.
    if log.c - log.a > most + most / 8 then
      local oldest = redis.call('XRANGE', log.stream, '-', '+', 'COUNT', 1)[1]
      if oldest then redis.call('XTRIM', log.stream, 'MINID', int(oldestWithin(log, oldest))) end
      log.a = log.c - most
      log.set('a', int(log.a))
    end
    outlive(log, 'y', log.stream, ttl)
    if now - log.o >= ttl + ttl / 8 then
      local left = dropAged(log)
      -- Nothing is left of an event that is larger than the bound.
      log.set('o', left and left[2][2] or int(now))
    end
  elseif log.kept then
    -- Kept events before one that is not kept would read as a log with a gap.
    redis.call('DEL', log.stream)
    log.set('k', '0')
  end
end

local out, at, written = {}, 3, false
for section = 1, tonumber(ARGV[3]) do
  local key = 6 * section - 6
  local retain, size, ttl, dedupe = ARGV[at + 1] == '1', tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local headMs, most, count, ids = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7]), tonumber(ARGV[at + 8])
  local form, bytes, sizes, text = ARGV[at + 9], tonumber(ARGV[at + 10]), ARGV[at + 11], ARGV[at + 12]
  at = at + 12
  local after = at + ids + (form == 'i' and ids or form == 'm' and 3 * count or 0)
  local function append()
    local name = token .. '.' .. section
    local log = open(KEYS[key + 1], KEYS[key + 6], token, headMs)
    log.stream = KEYS[key + 2]
    -- Events or ids without a head: the log was lost, and positions of its epoch may not look true.
    local lost = log.new and redis.call('EXISTS', log.stream, KEYS[key + 4], KEYS[key + 5]) > 0
    if lost then log.e = name end
    local changed = {}
    function log.set(field, value) changed[#changed + 1], changed[#changed + 2] = field, value end
    local memory = ids > 0 and recall(log, { KEYS[key + 4], KEYS[key + 5] }, at, ids, dedupe, name)
    at = at + ids
    local first, answers = log.s + 1, {}
    if form == 'm' then
      for item = 1, count do
        answers[item] = decide(log, memory, tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), ARGV[at + 3])
        at = at + 3
      end
    elseif form == 'p' or memory.addAll(at) then
      log.s = log.s + count
      at = at + ids
    else
      for item = 1, count do
        answers[item] = decide(log, memory, item, 0, string.match(ARGV[at + item], ' (.*)$'))
      end
      at = at + ids
    end
    local added = log.s - first + 1
    if added == count then answers = {} else text, sizes, bytes = appended(text, sizes, bytes, answers) end
    if added > 0 then
      if log.new then
        begin(log)
        if lost then redis.call('DEL', log.stream) end
        beginning(KEYS[key + 6], headMs)
      elseif not retain and (memory or log.kept or now + headMs > log.x) then
        -- Refused, when the server is full, before what cannot be refused is dropped, or is renewed: such a renewal would be the
        -- first write, and a server lets a script that has written do all the rest.
        redis.call('HSET', log.head, 's', int(log.s))
      end
      if log.moved then
        for field, value in pairs({ e = log.e, i = incarnation, f = log.f }) do log.set(field, value) end
      end
      log.set('s', int(log.s))
      store(log, added, text, sizes, bytes, retain, size, ttl, most)
      if memory then memory.write() end
      outlive(log, 'x', log.head, headMs)
      redis.call('HSET', log.head, unpack(changed))
      redis.call('SPUBLISH', KEYS[key + 3], '1e' .. log.e .. ' ' .. int(first) .. ' ' .. int(now) .. '\\n' .. text)
    elseif not log.new then
      keep(log)
      if touch then
        redis.call('HSET', log.head, 's', int(log.s))
        redis.call('PEXPIRE', log.head, int(headMs + math.ceil(headMs / 8)), 'GT')
      end
    end
    written = written or added > 0
    return { log.e, first, unpack(answers) }
  end
  -- What is wrong with one log is not the fault of the others; what the server refuses, it refuses all of them.
  local ok, result = pcall(append)
  if not ok then
    local message = type(result) == 'table' and result.err or tostring(result)
    local own = string.find(message, '^WRONGTYPE') or string.find(message, '^ERR')
    if not written and not own then return { err = message } end
    result = { '', message }
  end
  out[section] = result
  at = after
end
return out
`,
);
