import { createHash } from 'node:crypto';

/**
 * One Lua script. It is kept as text in a module of its own, so that a build needs no other files. Everything that a
 * script writes reaches replicas and the append-only file as the plain commands that it ran ("effects replication"), so
 * reading the server's time and identity inside is safe.
 */
export class RedisScript {
  readonly sha: string;

  constructor(
    readonly name: string,
    readonly text: string,
  ) {
    this.sha = createHash('sha1').update(text).digest('hex');
  }
}
