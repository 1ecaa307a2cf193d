/**
 * The ids that a log remembers (P15), for the script that appends. Two hashes take turns: new ids go into the current one;
 * when all ids of the other one have ended, it is dropped as a whole and becomes the current one. A key for each id would
 * cost Redis several times as much.
 *
 * In a hash: id → `section-rank fingerprint`, and for all ids of a section `=section` → `end first epoch`: until when,
 * exactly, they are remembered, and the `seq` of rank 0. So the script stores for an id what the node sent, unchanged. An id
 * begins with a digit, so it is never taken for a section.
 *
 * Fields of the head: `g` the current hash, `n` when the last of its ids ends, `p` when the last of the other's ends, `q`
 * when the key of the current hash expires. That is always later, so that a hash of a busy log is dropped here, without
 * blocking, and not by its expiry, which would block Redis.
 */
export const MEMORY = `
-- What is known of the ids ARGV[at + 1] to ARGV[at + ids]; a place is their 1-based number.
local function recall(log, hashes, at, ids, dedupe, section)
  local current, first = log.g or 1, log.s + 1
  local function ask(hash, last)
    return last > now and redis.call('HMGET', hash, unpack(ARGV, at + 1, at + ids)) or {}
  end
  local newer, older = ask(hashes[current], log.n), ask(hashes[3 - current], log.p)
  local added, list = {}, {}

  local function live(hash, claim)
    if not claim then return nil end
    local name, rank, print = string.match(claim, '^(%S+)%-(%d+) (.*)$')
    local ends, start, epoch = string.match(redis.call('HGET', hash, '=' .. name) or '', '^(%d+) (%d+) (%S+)')
    if not ends or tonumber(ends) <= now then return nil end
    return { seq = start + rank, epoch = epoch, print = print }
  end

  local memory = {}

  function memory.find(place)
    return added[ARGV[at + place]] or live(hashes[current], newer[place]) or live(hashes[3 - current], older[place])
  end

  function memory.add(place, seq, print)
    local id = ARGV[at + place]
    added[id] = { seq = seq, epoch = log.e, print = print }
    list[#list + 1], list[#list + 2] = id, section .. '-' .. int(seq - first) .. ' ' .. print
  end

  -- Adds all ids with the claims that the node made, if nothing is known of any.
  function memory.addAll(claims)
    for place = 1, ids do if newer[place] or older[place] then return false end end
    for place = 1, ids do list[2 * place - 1], list[2 * place] = ARGV[at + place], ARGV[claims + place] end
    return true
  end

  function memory.write()
    if #list == 0 then return end
    local till, slack = now + dedupe, math.ceil(dedupe / 8)
    if not log.g then
      -- A new log. If its head was lost, so were the events of these ids.
      redis.call('UNLINK', hashes[1], hashes[2])
      log.set('g', current)
      log.set('p', int(till))
    elseif log.p <= now and log.n > 0 then
      current = 3 - current
      redis.call('UNLINK', hashes[current])
      log.set('g', current)
      log.set('p', int(math.max(log.n, till)))
      log.n, log.q = 0, 0
    end
    -- Wide enough that Redis keeps the hash as a table: in its compact form every look-up would scan it.
    list[#list + 1], list[#list + 2] = '=' .. section, string.format('%.0f %.0f %-70s', till, first, log.e)
    redis.call('HSET', hashes[current], unpack(list))
    if till > log.n then log.set('n', int(till)) end
    if till + slack > log.q then
      redis.call('PEXPIRE', hashes[current], int(dedupe + 2 * slack))
      log.set('q', int(till + 2 * slack))
    end
  end

  return memory
end
`;
