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
 * A name ends with the incarnation, `<base>.<ten digits>`: under another one the base stays, and another epoch begins.
 *
 * The base of what was never written comes from the **origin** of its partition, a random name that lives for `headMs`, and
 * from the number of keys that the server has evicted. Whatever loses a log or a room that began with this name changes the
 * name before: its key lives longer than the origin, an eviction is counted, a flush takes the origin along, and a failover
 * or a restart is another incarnation. So no epoch begins twice, although nobody remembers which ones began.
 */
export const EPOCHS = `${INCARNATION}
local generation = string.sub(incarnation, 1, 10)

local function baseOf(epoch) return string.match(epoch, '^(.+)%.%x%x%x%x%x%x%x%x%x%x$') or epoch end
local function continued(epoch) return baseOf(epoch) .. '.' .. generation end

local evicted
local origins = {}
local function unwritten(origin, token, ms)
  local name = origins[origin] or redis.call('GET', origin)
  if not name then
    name = token
    -- When the server refuses to write, this call alone knows the name: no later epoch is taken for its continuation.
    redis.pcall('SET', origin, name, 'PX', ms)
  end
  origins[origin] = name
  evicted = evicted or string.match(redis.call('INFO', 'stats'), 'evicted_keys:(%d+)') or '0'
  return name .. '-' .. evicted .. '.' .. generation
end

-- To be called when something begins under such a name, with how long its key will live at least.
local function beginning(origin, ms) redis.call('PEXPIRE', origin, ms, 'LT') end
`;
