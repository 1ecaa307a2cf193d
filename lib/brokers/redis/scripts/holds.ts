import { NOW, RedisScript } from './script.js';

/**
 * Holders of things, and the record of their transitions.
 *
 * A thing is a hash (holder → `generation end`), and has a place in `due` (thing by the latest end of its holders) from its first
 * holder until the record of its end is written: so of each thing the records alternate. Where one of both keys was lost, the other
 * one counts. A holder that renews late has held all the time, unless the end was recorded before.
 *
 * KEYS: for each step due and record (a stream) of its partition, and the hash. ARGV 1…3: most records, headMs, steps; then for each
 * step: kind (`h`old, `r`elease, or `s`: only what ran out), thing, holder, generation, milliseconds. Answers how many records were
 * dropped as there were too many; then of each step that was not carried out its number (from 1) and why: the server is full, and it
 * is a new holder; or its keys are damaged, which keeps no other step from it.
 */
export const HOLDS = new RedisScript(
  `${NOW}
local most, headMs, steps = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local written, records = {}, {}

local function record(stream, thing, held)
  redis.call('XADD', stream, '*', 'n', thing, 'h', held, 't', int(now))
  if not written[stream] then
    written[stream] = true
    records[#records + 1] = stream
  end
end

-- The latest end of the holders that are left; those whose end has come are dropped.
local function latestOf(hash)
  local all, latest = redis.call('HGETALL', hash), nil
  for index = 1, #all, 2 do
    local ends = tonumber(string.match(all[index + 1], ' (%d+)$'))
    if ends <= now then redis.call('HDEL', hash, all[index])
    elseif not latest or ends > latest then latest = ends end
  end
  return latest
end

local function settle(DUE, RECORD, hash, thing)
  local latest = latestOf(hash)
  if latest then
    redis.call('ZADD', DUE, int(latest), thing)
    redis.call('PEXPIRE', hash, int(latest - now + headMs))
  else
    redis.call('UNLINK', hash)
    redis.call('ZREM', DUE, thing)
    record(RECORD, thing, 0)
  end
  return latest
end

-- What would take memory is refused where the server is full, and what was there before is renewed all the same: a server lets
-- a script that has written do all the rest, and the second of these writes nothing.
local answer = redis.pcall('ZADD', KEYS[1], 'XX', 0, '')
local refusal = type(answer) == 'table' and answer.err
local full = refusal and string.find(refusal, '^OOM') and refusal
if refusal and not full and not string.find(refusal, '^WRONGTYPE') then return answer end
if full then redis.pcall('ZREM', KEYS[1], '') end

-- Answers why the step was refused.
local function apply(step)
  local at = 5 * step - 2
  local kind, thing, holder = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local generation, ends = tonumber(ARGV[at + 4]), now + tonumber(ARGV[at + 5])
  local DUE, RECORD, hash = KEYS[3 * step - 2], KEYS[3 * step - 1], KEYS[3 * step]
  local due = tonumber(redis.call('ZSCORE', DUE, thing) or nil)
  -- Nobody has found that it ended, and its holder is still there: while Redis was away nobody could renew.
  local late = kind == 'h' and due and due <= now and redis.call('HGET', hash, holder)
  if not late and ((due and due <= now) or (not due and redis.call('EXISTS', hash) == 1)) then
    due = settle(DUE, RECORD, hash, thing)
  end
  local known = kind ~= 's' and redis.call('HGET', hash, holder)
  if full and kind == 'h' and not known then return full end
  if kind == 's' then return nil end
  local newest, before
  if known then newest, before = string.match(known, '^(%d+) (%d+)$') end
  newest, before = tonumber(newest), tonumber(before)
  local fenced = newest and before > now and generation < newest
  if kind == 'h' and not fenced then
    redis.call('HSET', hash, holder, int(generation) .. ' ' .. int(ends))
    if not due then record(RECORD, thing, 1) end
    -- A renewal of one among many reads none of the others.
    if known and due and ends >= due then
      redis.call('ZADD', DUE, int(ends), thing)
      -- Not with each renewal: the key outlives its end by as much.
      if math.floor(8 * ends / headMs) > math.floor(8 * before / headMs) then
        redis.call('PEXPIRE', hash, int(ends - now + headMs))
      end
    elseif not (known and before < due) then
      settle(DUE, RECORD, hash, thing)
    end
  elseif kind == 'r' and known and not fenced then
    if ends <= now then redis.call('HDEL', hash, holder)
    else redis.call('HSET', hash, holder, int(generation) .. ' ' .. int(ends)) end
    settle(DUE, RECORD, hash, thing)
  end
  return nil
end

local refused = {}
for step = 1, steps do
  local done, why = pcall(apply, step)
  if not done then why = type(why) == 'table' and why.err or 'ERR ' .. tostring(why) end
  if why then refused[#refused + 1], refused[#refused + 2] = step, why end
end
local dropped = 0
for _, stream in ipairs(records) do dropped = dropped + redis.call('XTRIM', stream, 'MAXLEN', most) end
return { dropped, unpack(refused) }
`,
);

/**
 * What a node consumes. A node that has asked is the consumer of a partition until it has not asked for `ms`.
 *
 * KEYS: due, record, consumer of each partition. ARGV 1…4: node, ms, most records, most things; then for each partition the record
 * after which to read. Answers, for each partition: 0 where another node is the consumer, 1, or 2 where this one has become it
 * and is handed all; then things whose end has come, then records as id, thing, held, time.
 */
export const TAKE = new RedisScript(
  `${NOW}
local out, left = {}, tonumber(ARGV[3])
for index = 1, #KEYS / 3 do
  local DUE, RECORD, CONSUMER = KEYS[3 * index - 2], KEYS[3 * index - 1], KEYS[3 * index]
  local consumer = redis.call('GET', CONSUMER)
  if consumer and consumer ~= ARGV[1] then
    out[index] = { 0, {}, {} }
  else
    -- A server that is full has no consumer: two would be worse than a late one.
    redis.call('SET', CONSUMER, ARGV[1], 'PX', ARGV[2])
    local due = redis.call('ZRANGEBYSCORE', DUE, '-inf', int(now), 'LIMIT', 0, ARGV[4])
    local from = consumer and ARGV[4 + index] or '-'
    local found = {}
    if left > 0 then
      for _, one in ipairs(redis.call('XRANGE', RECORD, from, '+', 'COUNT', left)) do
        local fields = one[2]
        found[#found + 1], found[#found + 2], found[#found + 3], found[#found + 4] = one[1], fields[2], fields[4], fields[6]
        left = left - 1
      end
    end
    out[index] = { consumer and 1 or 2, due, found }
  end
end
return out
`,
);

/** Lets another node consume. KEYS: consumers. ARGV 1: node. */
export const RESIGN = new RedisScript(`
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then redis.call('DEL', key) end
end
return 1
`);
