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
