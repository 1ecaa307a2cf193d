import { createHash } from 'node:crypto';

/**
 * One Lua script, as text in a module, so that a build needs no other files. What a script writes reaches replicas and the
 * append-only file as the plain commands that it ran ("effects replication"), so it may read the server's time and identity.
 */
export class RedisScript {
  readonly sha: string;

  constructor(readonly text: string) {
    this.sha = createHash('sha1').update(text).digest('hex');
  }
}

/** The server's time in milliseconds, and whole numbers as text: Lua would write large ones with an exponent. */
export const NOW = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function int(value) return string.format('%.0f', value) end
`;

/** The identity of the data: it is new after a restart, a failover or a restored snapshot, also when nothing was lost. */
export const INCARNATION = `${NOW}
local incarnation = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
`;

/**
 * Names of epochs that every node and every call finds by itself, so that a read need not store them.
 *
 * A name is `<base>~<continuations>.<first ten digits of the incarnation>`: under another incarnation the base stays, the number
 * grows, and another epoch begins. A server can become the master of a slot again under the incarnation that it had before,
 * after events were lost elsewhere; the number makes sure that the name does not come again with it.
 *
 * What was never written has the name of its partition's **origin**: a key that lives for `headMs` and holds that name and how
 * many keys the server has evicted. Whatever loses a log or a room that began with this name changes the name before: its key
 * lives longer than the origin, an eviction changes the number (so does `CONFIG RESETSTAT`), a flush takes the origin along,
 * and a failover, a restart or a moved slot is another incarnation. So no epoch begins twice, although nobody remembers which
 * ones began. What cannot be noticed: a head deleted by hand where neither events nor ids are kept, and evictions and a
 * `RESETSTAT` that give the same number again before anybody asks for something that was never written.
 *
 * Where there is no origin and the server refuses to write it, all calls of one minute are given the same name, and nothing ever
 * begins under it: a node that reads again because the epoch changed finds that it did not.
 */
export const EPOCHS = `${INCARNATION}
local generation = string.sub(incarnation, 1, 10)

local function parts(epoch)
  local base, digits = string.match(epoch, '^(.+)%.(%x%x%x%x%x%x%x%x%x%x)$')
  base = base or epoch
  local stem, number = string.match(base, '^(.+)~(%d+)$')
  return stem or base, tonumber(number) or 0, digits
end

local function baseOf(epoch) return (parts(epoch)) end
local function continued(epoch)
  local base, number = parts(epoch)
  return base .. '~' .. int(number + 1) .. '.' .. generation
end

local evicted
local origins = {}
local function unwritten(origin, token, ms)
  if origins[origin] then return origins[origin] end
  evicted = evicted or string.match(redis.call('INFO', 'stats'), 'evicted_keys:(%d+)') or '0'
  local name, count = string.match(redis.call('GET', origin) or '', '^(%S+) (%d+)$')
  if count ~= evicted then
    name = token .. '.' .. generation
    local stored = redis.pcall('SET', origin, name .. ' ' .. evicted, 'PX', ms)
    if stored.err then name = 'unwritten-' .. int(math.floor(now / 60000)) .. '.' .. generation end
  elseif select(3, parts(name)) ~= generation then
    name = continued(name)
    -- If the server refuses, everybody finds the same name again.
    redis.pcall('SET', origin, name .. ' ' .. evicted, 'KEEPTTL')
  end
  origins[origin] = name
  return name
end

-- To be called when something begins under such a name, with how long its key will live at least.
local function beginning(origin, ms) redis.call('PEXPIRE', origin, ms, 'LT') end
`;
