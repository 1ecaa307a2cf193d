import { createHash } from 'node:crypto';

/** How long what was seen of a server counts: less than a server waits before it gives its backlog back after a promotion. */
const SEEN_MS = 30_000;

/**
 * One Lua script, as text in a module, so that a build needs no other files. What a script writes reaches replicas and the
 * append-only file as the plain commands that it ran ("effects replication"), so it may read the server's time and identity.
 */
export class RedisScript {
  readonly sha: string;
  /** Whether it compares the identity of the data, and takes what the node knows of the server as its last argument. */
  readonly identifies: boolean;

  constructor(readonly text: string) {
    this.sha = createHash('sha1').update(text).digest('hex');
    this.identifies = text.includes(INCARNATION);
  }
}

/** The server's time in milliseconds, and whole numbers as text: Lua would write large ones with an exponent. */
export const NOW = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function int(value) return string.format('%.0f', value) end
`;

/**
 * The identity of the data: the server's replication id. It is new after a restart, a failover or a restored snapshot, also when
 * nothing was lost; and when the server makes its backlog for replicas, for a backup too, or gives it back, when nothing can
 * have been lost. So such a change is told from the others: the process is the same, it was its own master a moment ago and is
 * now, it remembers no other id (a promotion does), and it has made a backlog or given it back. What was seen a moment ago is
 * the last argument of a script, `$server <process> <time> <0 or 1, whether it had a backlog> <id> <ids that this one continues>`,
 * where a node has seen it. It is about ids that never come again: a node that is late says nothing untrue.
 *
 * Asked in every script, as a server can be made a replica and a master again on one connection, and nothing that a script can
 * find for less says so: it takes 2 µs of a call.
 */
export const INCARNATION = `${NOW}
local replication = redis.call('INFO', 'replication')
local incarnation = string.match(replication, 'master_replid:(%x+)')
local seen = string.match(ARGV[#ARGV] or '', '^%$server (.*)$')
if seen then ARGV[#ARGV] = nil end

-- The ids that the one of now continues, itself first, as far as what was seen shows it.
local function continuity(seen)
  local process, at, backlog, ids = string.match(seen or '', '^(%x+) (%d+) ([01]) (.+)$')
  if not process then return incarnation end
  if string.match(ids, '^%x+') == incarnation then return ids end
  local maintained = string.match(replication, 'repl_backlog_active:([01])') ~= backlog
    and string.match(replication, 'role:(%a+)') == 'master'
    and string.match(replication, 'master_replid2:(0+)%X') ~= nil
    and now - at < ${SEEN_MS} and string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') == process
  return maintained and incarnation .. ' ' .. ids or incarnation
end

-- Whether the server's id of now continues another one, which may be cut to ten digits.
local same
local function continues(id)
  if id == incarnation then return true end
  if not same then
    same = {}
    for one in string.gmatch(continuity(seen), '%x+') do same[one], same[string.sub(one, 1, 10)] = true, true end
  end
  return same[id] == true
end
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
  elseif not continues(select(3, parts(name))) then
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
