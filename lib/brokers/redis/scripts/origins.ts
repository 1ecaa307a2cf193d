import { EPOCHS, RedisScript } from './script.js';

/** Makes the origins that are missing (see `EPOCHS`). KEYS: origins. ARGV: token, how long they live (ms). */
export const ORIGINS = new RedisScript(
  `${EPOCHS}
for _, origin in ipairs(KEYS) do unwritten(origin, ARGV[1], ARGV[2]) end
`,
);
