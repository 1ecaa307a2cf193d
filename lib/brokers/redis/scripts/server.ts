import { INCARNATION, RedisScript } from './script.js';

/** Most ids that are carried along: two for each backup, while no log is asked for that was last written before them. */
const MOST_IDS = 9;

/**
 * Looks at the server, and answers what its scripts are to be given (see `INCARNATION`), or '' where that is nothing: its process is
 * not named, or it is a replica. What nodes saw before is stored, so that a node that starts knows it too.
 *
 * KEYS: meta.
 */
export const SERVER = new RedisScript(`${INCARNATION}
local process = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local backlog = string.match(replication, 'repl_backlog_active:([01])')
if not process or not backlog or string.match(replication, 'role:(%a+)') ~= 'master' then return '' end
local ids = {}
for id in string.gmatch(continuity(redis.call('HGET', KEYS[1], 'server') or nil), '%x+') do
  if #ids < ${MOST_IDS} then ids[#ids + 1] = id end
end
local found = process .. ' ' .. int(now) .. ' ' .. backlog .. ' ' .. table.concat(ids, ' ')
-- A server that refuses to write still says what it is.
redis.pcall('HSET', KEYS[1], 'server', found)
return found
`);
