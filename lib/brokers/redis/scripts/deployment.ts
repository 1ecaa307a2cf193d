import { RedisScript } from './script.js';

/**
 * What the first node of a deployment stored, and where nothing is stored, whether there may be nodes that run and will store theirs.
 *
 * KEYS: meta, then the topic of the control records under each name that it may have. Returns the number of partitions, or '', how
 * many connections listen to control records, and for how many seconds the server has been up. What they hear says nothing to them.
 */
export const DEPLOYMENT = new RedisScript(`
local partitions = redis.call('HGET', KEYS[1], 'partitions')
if partitions then return { partitions, 0, 0 } end
local listening = 0
for index = 2, #KEYS do listening = listening + redis.call('SPUBLISH', KEYS[index], '') end
return { '', listening, tonumber(string.match(redis.call('INFO', 'server'), 'uptime_in_seconds:(%d+)') or '0') }
`);
