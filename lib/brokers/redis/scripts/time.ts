import { RedisScript } from './script.js';

/** The server's time in milliseconds. KEYS: any, for the server that is meant. */
export const TIME = new RedisScript(
  'time',
  `
local clock = redis.call('TIME')
return { clock[1] * 1000 + math.floor(clock[2] / 1000) }
`,
);
