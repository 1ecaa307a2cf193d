import { RedisScript } from './script.js';

/**
 * A node's answer to a control record: stored, because the message may be lost on its way to the one who asked.
 *
 * KEYS: answers, topic of the one who asked. ARGV: node, '1' or '0', how long the answers are kept (ms), message.
 */
export const CONFIRM = new RedisScript(
  'confirm',
  `
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return redis.call('SPUBLISH', KEYS[2], ARGV[4])
`,
);
