import { RedisScript } from './script.js';

/** Makes the origins that are missing (see `EPOCHS`). KEYS: origins. ARGV: token, how long they live (ms). */
export const ORIGINS = new RedisScript(`
for _, origin in ipairs(KEYS) do redis.call('SET', origin, ARGV[1], 'PX', ARGV[2], 'NX') end
`);
