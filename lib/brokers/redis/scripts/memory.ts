/**
 * The ids that a log remembers (P15), for the script that appends. Two hashes take turns: new ids go into the current one;
 * when all ids of the other one have ended, it is dropped as a whole and becomes the current one. A key for each id would
 * cost Redis several times as much.
 *
 * In a hash: id → `section-rank fingerprint`, and for all ids of a section `=section` → `end first epoch`: until when,
 * exactly, they are remembered, and the `seq` of rank 0. So the script stores for an id what the node sent, unchanged. An id
 * begins with a digit, so it is never taken for a section.
 *
 * An id that comes alone joins the section of the one that came alone before it, if its window ends with that one's, to a
 * thirty-second part: a section of its own would take as much room as the id. Its rank is then the distance of their `seq`.
 *
 * Fields of the head: `r` the section that such ids join, `g` the current hash, `n` a time at which the last of its ids has ended, `p` the same for the other one,
 * `q` when the key of the current hash expires. That is always later, so that a hash of a busy log is dropped here, without
 * blocking, and not by its expiry, which would block Redis. `n` is up to an eighth of the time too late, so that not every
 * append must store it.
 */
export const MEMORY = `
-- More ids than this in one section: look-ups in the compact form of a hash, in which each scans it, would take longer than
-- the room is worth.
local FEW_IDS = 16

-- What is known of the ids ARGV[at + 1] to ARGV[at + ids]; a place is their 1-based number.
local function recall(log, one, other, at, ids)
  local current = log.g or 1
  local memory = { at = at, ids = ids, current = current, hashes = { one, other }, list = {} }
  if log.n > now then
    if ids == 1 and log.r then
      memory.newer = redis.call('HMGET', memory.hashes[current], ARGV[at + 1], '=' .. log.r)
      memory.joined = memory.newer[2]
    else
      memory.newer = redis.call('HMGET', memory.hashes[current], unpack(ARGV, at + 1, at + ids))
    end
  end
  if log.p > now then memory.older = redis.call('HMGET', memory.hashes[3 - current], unpack(ARGV, at + 1, at + ids)) end
  return memory
end

local function holdsAny(claims, ids)
  if not claims then return false end
  for place = 1, ids do if claims[place] then return true end end
  return false
end

-- Adds all ids with the claims that the node made, if nothing is known of any.
local function addAll(memory, claims)
  local ids, at, list = memory.ids, memory.at, memory.list
  if holdsAny(memory.newer, ids) or holdsAny(memory.older, ids) then return false end
  for place = 1, ids do list[2 * place - 1], list[2 * place] = ARGV[at + place], ARGV[claims + place] end
  return true
end

local function live(hash, claim)
  if not claim then return nil end
  local name, rank, print = string.match(claim, '^(%S+)%-(%d+) (.*)$')
  local ends, start, epoch = string.match(redis.call('HGET', hash, '=' .. name) or '', '^(%d+) (%d+) (%S+)')
  if not ends or tonumber(ends) <= now then return nil end
  return { seq = start + rank, epoch = epoch, print = print }
end

local function find(memory, place)
  local current, hashes = memory.current, memory.hashes
  return (memory.added and memory.added[ARGV[memory.at + place]])
    or live(hashes[current], memory.newer and memory.newer[place])
    or live(hashes[3 - current], memory.older and memory.older[place])
end

-- Adds one id. \`claim\`: its section and rank.
local function add(memory, place, found, claim)
  local id, list = ARGV[memory.at + place], memory.list
  memory.added = memory.added or {}
  memory.added[id] = found
  list[#list + 1], list[#list + 2] = id, claim .. ' ' .. found.print
end

-- The claim of an id that comes alone under the section that it joins, or nothing.
local function joining(log, memory, first, till, latest)
  if not memory.joined then return nil end
  local ends, start, epoch = string.match(memory.joined, '^(%d+) (%d+) (%S+)')
  ends = tonumber(ends)
  if not ends or epoch ~= log.e or ends < till or ends > latest then return nil end
  local rank, print = string.match(memory.list[2], '^%S+%-(%d+)( .*)$')
  return log.r .. '-' .. int(first - start + rank) .. print
end

-- Stores what was added. \`bare\`: the log is new, and nothing of an older one is left.
local function write(log, memory, section, first, dedupe, bare)
  local list, hashes, current = memory.list, memory.hashes, memory.current
  if not list[1] then return end
  local till = now + dedupe
  local latest = till + math.ceil(dedupe / 32)
  local joined = joining(log, memory, first, till, latest)
  if not log.g then
    -- If the head of an older log was lost, so were the events of these ids.
    if not bare then redis.call('UNLINK', hashes[1], hashes[2]) end
    set(log, 'g', current)
    set(log, 'p', latest)
  elseif log.p <= now and log.n > 0 then
    current = 3 - current
    redis.call('UNLINK', hashes[current])
    set(log, 'g', current)
    set(log, 'p', math.max(log.n, latest))
    log.n, joined = 0, nil
  end
  if joined then
    redis.call('HSET', hashes[current], list[1], joined)
    return
  end
  if list[3] then
    latest = till
  else
    set(log, 'r', section)
  end
  local value = int(latest) .. ' ' .. int(first) .. ' ' .. log.e
  -- So wide that Redis keeps the hash as a table from now on.
  if memory.ids > FEW_IDS then value = string.format('%-70s', value) end
  redis.call('HSET', hashes[current], '=' .. section, value, unpack(list))
  if latest > log.n then
    local slack = math.ceil(dedupe / 8)
    redis.call('PEXPIRE', hashes[current], dedupe + 2 * slack)
    set(log, 'n', till + slack)
    set(log, 'q', till + 2 * slack)
  end
end
`;
