import { Redis, type Cluster } from 'ioredis';
import type { RedisBrokerOptions } from '../../../lib/brokers/redis/index.js';
import { idField, type RedisKeys } from '../../../lib/brokers/redis/keys.js';
import { RedisProcess } from './process.js';

/** Servers that belong together, and what can be done to them. */
export interface RedisDeployment {
  /** How a broker finds them. */
  readonly options: RedisBrokerOptions;
  /** A client that a broker may copy; not connected. */
  client(): Redis | Cluster;
  /** Forgets everything, on every master. */
  flush(): Promise<void>;
  /** Ends every master at once and starts it again with what it had on disk. */
  restart(): Promise<void>;
  /** Leaves of a log what a replica would have that saw only the first `keep` events, under a new incarnation. */
  loseEnd(keys: RedisKeys, channel: string, keep: number): Promise<void>;
  /** Writes over the record of an event, which is the only one of its record. */
  spoilEvent(keys: RedisKeys, channel: string, seq: number): Promise<void>;
  dispose(): Promise<void>;
}

/** One server with an append-only file. */
export async function singleRedis(): Promise<RedisDeployment> {
  const server = await RedisProcess.start({ args: ['--enable-debug-command', 'local'] });
  const admin = new Redis(server.url, { maxRetriesPerRequest: 10 });
  admin.on('error', () => undefined);
  return {
    options: {},
    client: () => new Redis(server.url, { lazyConnect: true }),
    flush: async () => void (await admin.flushall()),
    async restart() {
      await server.kill();
      await server.launch();
    },
    loseEnd: (keys, channel, keep) => loseEnd(admin, admin, keys, channel, keep),
    spoilEvent: (keys, channel, seq) => spoilEvent(admin, keys, channel, seq),
    async dispose() {
      admin.disconnect();
      await server.dispose();
    },
  };
}

/**
 * Cuts a log back, with the ids that were remembered behind the cut, and gives the server another identity.
 *
 * @param admin Where the keys are.
 * @param server The process that holds them.
 */
export async function loseEnd(
  admin: Redis | Cluster,
  server: Redis,
  keys: RedisKeys,
  channel: string,
  keep: number,
): Promise<void> {
  const [head, stream] = [keys.head(channel), keys.stream(channel)];
  // Records that end behind the cut; the first of them may begin before it.
  const records = await admin.xrange(stream, keep + 1, '+');
  if (records.length > 0) {
    await admin.xdel(stream, ...records.map(([id]) => id));
    const [top] = await admin.xrevrange(stream, '+', '-', 'COUNT', 1);
    await admin.call('XSETID', stream, top?.[0] ?? '0-1');
  }
  /** Bytes of what is left. */
  let bytes: number | undefined;
  for (const [id, [, ts, , text, , begins, , each]] of records) {
    const events = JSON.parse(text ?? '[]') as readonly { readonly i: string }[];
    const before = Number.parseInt(id, 10) - events.length;
    const kept = events.slice(0, Math.max(0, keep - before));
    const sizes = (each ?? '').split(',').slice(0, kept.length).map(Number);
    bytes ??= Number(begins) + sizes.reduce((sum, size) => sum + size, 0);
    if (kept.length > 0) {
      const left = kept.map((event) => JSON.stringify(event)).join(',\n');
      await admin.xadd(
        stream,
        `${keep}-${kept.length}`,
        ...['t', ts ?? '', 'b', `[${left}]`, 'c', begins ?? '0', 'l', sizes.join()],
      );
    }
    for (const { i } of events.slice(kept.length))
      for (const hash of keys.of(channel).ids) await admin.hdel(hash, idField('u1', i));
  }
  await admin.hset(head, 's', keep);
  if (bytes !== undefined) await admin.hset(head, 'c', bytes);
  await server.call('DEBUG', 'CHANGE-REPL-ID');
}

/** Writes a stream again, as Redis takes no entry behind its last one, with something else in the place of one record. */
export async function spoilEvent(
  admin: Redis | Cluster,
  keys: RedisKeys,
  channel: string,
  seq: number,
): Promise<void> {
  const stream = keys.stream(channel);
  const [records, ttlMs] = [await admin.xrange(stream, '-', '+'), await admin.pttl(stream)];
  await admin.del(stream);
  let found = false;
  for (const [id, fields] of records) {
    const isSpoiled = Number.parseInt(id, 10) === seq;
    found ||= isSpoiled;
    const values = fields.map((value, index) =>
      isSpoiled && fields[index - 1] === 'b' ? (seq % 2 === 0 ? 'not a record' : '[null]') : value,
    );
    await admin.xadd(stream, id, ...values);
  }
  if (ttlMs > 0) await admin.pexpire(stream, ttlMs);
  if (!found) throw new Error(`${channel} has no record that ends with event ${seq}`);
}
