import { MEMORY } from './memory.js';
import { PRELUDE } from './prelude.js';
import { RedisScript } from './script.js';

/**
 * Appends many events, to many logs of one slot. The events are in sections; a section is a run of events of one log, becomes
 * one record of it, and is published as one message.
 *
 * KEYS: of each section head, stream, topic, both hashes of ids, origin. ARGV: token, touch, policies, sections; of each policy
 * retain, size, ttl, dedupe, head (ms), most bytes; of each section the number of its policy, events, ids, 'm' for the mixed form
 * or '', bytes, bytes of each event ('' for one), the events as the record will have them, the ids; then what its form needs:
 * - '': the claim of each id, `section-rank fingerprint` as it is remembered. Either no event has an id that is remembered, or
 *   each has one of its own, in the order of the ids; none has an `after`. A section is called `token.number`.
 * - mixed: of each event id, after (1-based among the ids, 0 for none), fingerprint. An id is negative where the event is only
 *   looked for: its producer may have no further one.
 *
 * Returns, for each section, its epoch and the `seq` of its first event; when not all were appended, also for each event its
 * `seq`, or `seq epoch` of a duplicate, or `c` (conflict), `o` (out of order), `r` (looked for, and
 * not known). Of a section that failed, '', the error, and 1 when something of it was written before.
 *
 * `touch` writes something even when every event is a duplicate: `WAIT` is about this connection's last write, so a retry would
 * otherwise be acknowledged as replicated although no replica was asked.
 *
 * The keys of a log outlive their time by up to a quarter of it, so that not every append must renew them; what a read returns
 * is bounded by the times and sizes themselves.
 *
 * This is what a publish costs: no function is made for each section, and numbers go to Redis as they are, which writes whole
 * ones without an exponent.
 */
export const APPEND = new RedisScript(
  `${PRELUDE}
-- Notes a field of the head, to be stored at the end.
local function set(log, field, value)
  local changed = log.changed
  changed[#changed + 1], changed[#changed + 2] = field, value
  log[field] = value
end
${MEMORY}
local token, touch = ARGV[1], ARGV[2] == '1'
-- Whether anything of the section at work was written.
local wrote = false

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

-- The seq of an event that is appended, or why it is not. \`name\`, \`first\`: of its section.
local function decide(log, memory, id, after, print, name, first)
  local known = id ~= 0 and find(memory, math.abs(id))
  if known then return known.print == print and int(known.seq) .. ' ' .. known.epoch or 'c' end
  if id < 0 then return 'r' end
  if after > 0 and not find(memory, after) then return 'o' end
  log.s = log.s + 1
  if id > 0 then add(memory, id, { seq = log.s, epoch = log.e, print = print }, name .. '-' .. int(log.s - first)) end
  return log.s
end

-- Lets a key live for at least that long; a little longer, so that not every append must renew it. The head's field says until when.
local function outlive(log, field, key, ms)
  if now + ms <= log[field] then return end
  local longer = ms + math.ceil(ms / 8)
  redis.call('PEXPIRE', key, longer)
  set(log, field, now + longer)
end

-- Redis gives a stream 4 KB at once, and a copy of it what it needs. The copy is made in \`spare\`.
local function shrink(stream, spare)
  if redis.pcall('COPY', stream, spare, 'REPLACE') == 1 then redis.call('RENAME', spare, stream) end
end

local function store(log, policy, count, text, sizes, bytes, one, other)
  if policy.retain then
    local size, ttl, most = policy.size, policy.ttl, policy.most
    local fresh = not log.kept or log.y <= now
    if log.z ~= size then set(log, 'z', size) end
    if log.t ~= ttl then
      set(log, 't', ttl)
      log.o = 0
    end
    if fresh then
      log.kept, log.y = true, 0
      set(log, 'k', '1')
      set(log, 'o', now)
    end
    if log.m ~= most then set(log, 'm', most) end
    local id = int(log.s) .. '-' .. count
    -- What is older than the size allows is dropped in whole blocks.
    local least = math.max(log.s - size + 1, 0)
    if sizes == '' then
      redis.call('XADD', log.stream, 'MINID', '~', least, id, 't', now, 'b', text, 'c', log.c)
    else
      redis.call('XADD', log.stream, 'MINID', '~', least, id, 't', now, 'b', text, 'c', log.c, 'l', sizes)
    end
    wrote = true
    set(log, 'c', log.c + bytes)
    -- Not with every append, as it has to look for the place.
    if log.c - log.a > most + most / 8 then
      local oldest = redis.call('XRANGE', log.stream, '-', '+', 'COUNT', 1)[1]
      if oldest then redis.call('XTRIM', log.stream, 'MINID', int(oldestWithin(log, oldest))) end
      set(log, 'a', log.c - most)
    end
    -- A hash whose ids have ended is not needed before it becomes the current one, which begins without any.
    if fresh and #text < 2048 and log.p <= now then shrink(log.stream, log.g == 2 and one or other) end
    outlive(log, 'y', log.stream, ttl)
    if now - log.o >= ttl + ttl / 8 then
      local left = dropAged(log)
      -- Nothing is left of an event that is larger than the bound.
      set(log, 'o', left and tonumber(left[2][2]) or now)
    end
  elseif log.kept then
    -- Kept events before one that is not kept would read as a log with a gap.
    redis.call('UNLINK', log.stream)
    set(log, 'k', '0')
  end
end

local function append(section, policy, at)
  local key, count, ids, mixed = 6 * section - 6, tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), ARGV[at + 4] == 'm'
  local bytes, sizes, text = tonumber(ARGV[at + 5]), ARGV[at + 6], ARGV[at + 7]
  local headMs, one, other, origin = policy.headMs, KEYS[key + 4], KEYS[key + 5], KEYS[key + 6]
  at = at + 7
  wrote = false
  local log = open(KEYS[key + 1], origin, token, headMs)
  log.stream, log.changed = KEYS[key + 2], {}
  -- Events or ids without a head: the log was lost, and positions of its epoch may not look true.
  local lost = log.new and redis.call('EXISTS', log.stream, one, other) > 0
  local name = (lost or ids > 0) and token .. '.' .. section
  if lost then log.e = name end
  local memory = ids > 0 and recall(log, one, other, at, ids)
  at = at + ids
  local first, added, answers = log.s + 1, count, nil
  if not mixed and (not memory or addAll(memory, at)) then
    log.s = log.s + count
  else
    answers = {}
    for item = 1, count do
      if mixed then
        answers[item] = decide(log, memory, tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), ARGV[at + 3], name, first)
        at = at + 3
      else
        answers[item] = decide(log, memory, item, 0, string.match(ARGV[at + item], ' (.*)$'), name, first)
      end
    end
    added = log.s - first + 1
    if added == count then answers = nil else text, sizes, bytes = appended(text, sizes, bytes, answers) end
  end
  if added > 0 then
    local bare = log.new and not lost
    if log.new then
      begin(log)
      wrote = true
      if lost then redis.call('DEL', log.stream) end
      beginning(origin, headMs)
    elseif not policy.retain and (memory or log.kept or now + headMs > log.x) then
      -- Refused, when the server is full, before what cannot be refused is dropped, or is renewed: such a renewal would be the
      -- first write, and a server lets a script that has written do all the rest.
      redis.call('HSET', log.head, 's', log.s)
      wrote = true
    end
    if log.moved then
      set(log, 'e', log.e)
      set(log, 'i', incarnation)
      set(log, 'f', log.f)
    elseif log.renamed then
      set(log, 'i', incarnation)
    end
    set(log, 's', log.s)
    store(log, policy, added, text, sizes, bytes, one, other)
    if memory then write(log, memory, name, first, policy.dedupe, bare) end
    outlive(log, 'x', log.head, headMs)
    redis.call('HSET', log.head, unpack(log.changed))
    wrote = true
    redis.call('SPUBLISH', KEYS[key + 3], '1e' .. log.e .. ' ' .. int(first) .. ' ' .. int(now) .. '\\n' .. text)
  elseif not log.new then
    keep(log)
    if touch then
      redis.call('HSET', log.head, 's', log.s)
      redis.call('PEXPIRE', log.head, headMs + math.ceil(headMs / 8), 'GT')
    end
  end
  if answers then return { log.e, first, unpack(answers) } end
  return { log.e, first }
end

local at, policies = 4, {}
for index = 1, tonumber(ARGV[3]) do
  policies[index] = { retain = ARGV[at + 1] == '1', size = tonumber(ARGV[at + 2]), ttl = tonumber(ARGV[at + 3]),
    dedupe = tonumber(ARGV[at + 4]), headMs = tonumber(ARGV[at + 5]), most = tonumber(ARGV[at + 6]) }
  at = at + 6
end
local out, written = {}, false
for section = 1, tonumber(ARGV[4]) do
  -- What is wrong with one log is not the fault of the others; what the server refuses, it refuses all of them.
  local ok, result = pcall(append, section, policies[tonumber(ARGV[at + 1])], at)
  written = written or wrote
  if not ok then
    local message = type(result) == 'table' and result.err or tostring(result)
    local own = string.find(message, '^WRONGTYPE') or string.find(message, '^ERR')
    if not written and not own then return { err = message } end
    result = { '', message, wrote and 1 or 0 }
  end
  out[section] = result
  local ids = tonumber(ARGV[at + 3])
  at = at + 7 + ids + (ARGV[at + 4] == 'm' and 3 * tonumber(ARGV[at + 2]) or ids)
end
return out
`,
);
