import { PRELUDE } from './prelude.lua.js';
import { RedisScript } from './script.js';

/**
 * Appends many events, to many logs of one slot, and publishes each log's new events as one message.
 *
 * KEYS: head, stream and topic of each log; then the keys of the ids.
 * ARGV: token, logs, policies, items, touch; for each policy retain, size, ttl, dedupe, head (ms); for each item log,
 * policy, id, after (1-based, 0 for none; the last two among the keys of the ids), fingerprint, body.
 *
 * Answers a list with, for each item, its `seq`, or `seq epoch` of a duplicate, or `c` (conflict), `o` (out of order);
 * then, for each log, the epoch. A remembered id is `seq epoch fingerprint`, and ends by its key's own expiry.
 *
 * `touch` writes something even when every item is a duplicate: `WAIT` counts from this connection's last write, so a
 * retry would otherwise be promised a replica that nobody asked.
 */
export const APPEND = new RedisScript(
  'append',
  `${PRELUDE}
local token, logCount, policyCount, itemCount = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local touch = ARGV[5] == '1'
local at = 5
local policies = {}
for index = 1, policyCount do
  policies[index] = { retain = ARGV[at + 1] == '1', size = ARGV[at + 2], ttl = ARGV[at + 3],
    dedupe = ARGV[at + 4], head = ARGV[at + 5] }
  at = at + 5
end

local logs, out = {}, {}
for item = 1, itemCount do
  local index, policy = tonumber(ARGV[at + 1]), policies[tonumber(ARGV[at + 2])]
  local id, after = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local print, body = ARGV[at + 5], ARGV[at + 6]
  at = at + 6
  local log = logs[index]
  if not log then
    log = open(KEYS[3 * index - 2], KEYS[3 * index - 1], token .. '.' .. index, policy.head)
    log.first, log.bodies, log.keepsNow = log.s + 1, {}, log.kept
    logs[index] = log
  end
  log.policy = policy
  local idKey = id > 0 and KEYS[3 * logCount + id]
  local known
  local keeps = idKey and policy.dedupe ~= '0'
  local claim = int(log.s + 1) .. ' ' .. log.e .. ' ' .. print
  if keeps and after == 0 then
    -- Asks and remembers in one step: an id that is known stays as it is.
    known = redis.call('SET', idKey, claim, 'NX', 'GET', 'PX', policy.dedupe)
  elseif idKey then
    known = redis.call('GET', idKey)
  end
  if known then
    local seq, epoch, first = string.match(known, '^(%d+) (%S+) (.*)$')
    out[item] = first == print and seq .. ' ' .. epoch or 'c'
  elseif after > 0 and redis.call('EXISTS', KEYS[3 * logCount + after]) == 0 then
    out[item] = 'o'
  else
    log.s = log.s + 1
    log.bodies[#log.bodies + 1] = body
    if policy.retain then
      redis.call('XADD', log.stream, int(log.s) .. '-0', 't', int(now), 'b', body)
      log.keepsNow = true
    elseif log.keepsNow then
      -- Kept events before one that is not kept would read as a log with a hole.
      redis.call('DEL', log.stream)
      log.keepsNow = false
    end
    if keeps and after > 0 then redis.call('SET', idKey, claim, 'PX', policy.dedupe) end
    out[item] = log.s
  end
end

for index = 1, logCount do
  local log = logs[index]
  if #log.bodies > 0 then
    local policy = log.policy
    redis.call('HSET', log.head, 's', int(log.s), 't', policy.ttl, 'k', log.keepsNow and '1' or '0')
    redis.call('PEXPIRE', log.head, policy.head)
    if log.keepsNow then
      log.kept, log.t = true, tonumber(policy.ttl)
      redis.call('XTRIM', log.stream, 'MAXLEN', policy.size)
      trimByAge(log)
      redis.call('PEXPIRE', log.stream, policy.ttl)
    end
    redis.call('SPUBLISH', KEYS[3 * index], '1e' .. log.e .. ' ' .. int(log.first) .. ' ' .. int(now) .. '\\n['
      .. table.concat(log.bodies, ',') .. ']')
  elseif touch then
    redis.call('PEXPIRE', log.head, log.policy.head)
  end
  out[itemCount + index] = log.e
end
return out
`,
);
