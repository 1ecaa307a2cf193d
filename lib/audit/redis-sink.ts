import {
  matchesFilter,
  type AuditEntry,
  type AuditPage,
  type AuditQuery,
  type AuditSink,
} from '../core/ports/audit.js';
import { hearLaterErrors } from '../core/async/later-errors.js';
import { isMissingPackage } from '../core/ports/missing-package.js';
import { checkBounds } from './bounds.js';

/** How long a command waits for its answer, in milliseconds: a list must not wait without end. */
const COMMAND_TIMEOUT_MS = 5_000;
/** Field of a record of the stream. */
const FIELD = 'e';
/** Records in one answer of Redis, and those that one page looks at. */
const BATCH = 200;
const LOOKED_AT = 5_000;
/** Writes of this node after which the memory of the stream is measured. */
const MEASURE_EVERY = 256;

/** What {@link redisSink} needs of a client of the package `ioredis`: its `Redis`, or its `Cluster`. */
export interface AuditRedisClient {
  /** Adds a record to a stream. */
  xadd(key: string, ...args: (string | number)[]): Promise<unknown>;
  /** Reads records of a stream, newest first: their ids and fields. */
  xrevrange(
    key: string,
    end: string,
    start: string,
    token: 'COUNT',
    count: number,
  ): Promise<(readonly [id: string, fields: string[]])[]>;
  /** Counts the records of a stream. */
  xlen(key: string): Promise<number>;
  /** Removes the oldest records of a stream. */
  xtrim(key: string, token: 'MAXLEN', count: number): Promise<number>;
  /** Measures what a key takes, in bytes. */
  memory(act: 'USAGE', key: string, token: 'SAMPLES', count: number): Promise<number | null>;
}

interface OwnClient extends AuditRedisClient {
  disconnect(): void;
}

/** Where {@link redisSink} keeps its entries. Exactly one of `url` and `client`. */
export interface RedisSinkOptions {
  /** A single server, `redis://` or `rediss://`. The sink makes a connection, and closes it at the end. */
  readonly url?: string;
  /** A client of the application, whose connection is used and not closed. */
  readonly client?: AuditRedisClient;
  /** Key of the stream; the same on all nodes that share the audit. Default `'rt:audit'`. */
  readonly key?: string;
  /** Entries that are kept, about; the oldest go first. Default 100000. */
  readonly entries?: number;
  /** Bytes of memory that the stream may take in Redis, about. Default 67108864 (64 MiB). */
  readonly bytes?: number;
}

/**
 * Keeps the entries of all nodes in a stream of Redis, for `realtime.audit.list()` on any node. The order is that in which Redis took
 * them. Needs the package `ioredis`.
 *
 * @throws RangeError for options that contradict one another.
 * @example forRoot({ audit: { sinks: [redisSink({ url: process.env.REDIS_URL! })] } })
 * @publicApi
 */
export function redisSink(options: RedisSinkOptions): AuditSink {
  return new RedisSink(options);
}

class RedisSink implements AuditSink {
  readonly name = 'redis';
  private readonly key: string;
  private readonly entries: number;
  private readonly bytes: number;
  private made: Promise<OwnClient> | undefined;
  private written = 0;

  constructor(private readonly options: RedisSinkOptions) {
    const { url, client, key = 'rt:audit', entries = 100_000, bytes = 64 * 1024 * 1024 } = options;
    if ((url === undefined) === (client === undefined))
      throw new RangeError('redisSink: give either url or client. Is an environment variable missing?');
    checkBounds('redisSink', { entries, bytes });
    this.key = key;
    this.entries = entries;
    this.bytes = bytes;
  }

  async write(entry: AuditEntry): Promise<void> {
    const redis = await this.client();
    await redis.xadd(this.key, 'MAXLEN', '~', this.entries, '*', FIELD, JSON.stringify(entry));
    // A server may not let a client measure: the count bounds the stream alone then.
    if (this.written++ % MEASURE_EVERY === 0) await this.trim(redis).catch(() => undefined);
  }

  /** The cursor is the id of the last record that was looked at. */
  async read({ cursor, limit, ...filter }: AuditQuery): Promise<AuditPage> {
    const redis = await this.client();
    const entries: AuditEntry[] = [];
    // An entry whose answer was lost is there twice.
    const ids = new Set<string>();
    let last = cursor;
    if (last !== undefined && !/^\d+-\d+$/.test(last)) return { entries };
    for (let looked = 0; looked < LOOKED_AT;) {
      const from = last === undefined ? '+' : `(${last}`;
      const records = await redis.xrevrange(this.key, from, '-', 'COUNT', BATCH);
      for (const [id, fields] of records) {
        last = id;
        looked++;
        const entry = entryOf(fields);
        if (entry === undefined || ids.has(entry.id) || !matchesFilter(entry, filter)) continue;
        ids.add(entry.id);
        entries.push(entry);
        if (entries.length === limit) return { entries, more: id };
      }
      if (records.length < BATCH) return { entries };
    }
    return last === undefined ? { entries } : { entries, more: last };
  }

  async close(): Promise<void> {
    const { made } = this;
    if (made === undefined) return;
    const redis = await made;
    redis.disconnect();
  }

  /** `MAXLEN` bounds how many there are; this, what they take. */
  private async trim(redis: AuditRedisClient): Promise<void> {
    const used = await redis.memory('USAGE', this.key, 'SAMPLES', 16);
    if (used === null || used <= this.bytes) return;
    const length = await redis.xlen(this.key);
    await redis.xtrim(this.key, 'MAXLEN', Math.floor((length * this.bytes * 0.9) / used));
  }

  private client(): Promise<OwnClient> | AuditRedisClient {
    const { client, url } = this.options;
    if (client !== undefined) return client;
    return (this.made ??= connect(url as string).catch((error: unknown) => {
      this.made = undefined;
      throw error;
    }));
  }
}

async function connect(url: string): Promise<OwnClient> {
  const { Redis } = await import('ioredis').catch((cause: unknown) => {
    throw isMissingPackage(cause, 'ioredis')
      ? new Error('redisSink needs the package ioredis, version 5.3 or newer. Install it: npm i ioredis@6', {
          cause,
        })
      : cause;
  });
  const redis = new Redis(url, {
    lazyConnect: true,
    // The audit writes again by itself, in order.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectionName: 'nestjs-realtime-audit',
  });
  // Without a listener ioredis writes errors to the console, secrets included; failed writes are reported by the audit.
  redis.on('error', () => hearLaterErrors(redis.stream));
  try {
    await redis.connect();
  } catch (error) {
    redis.disconnect();
    throw error;
  }
  return redis;
}

/** What another program wrote there is left out. */
function entryOf(fields: readonly string[]): AuditEntry | undefined {
  const at = fields.indexOf(FIELD);
  try {
    return at % 2 === 0 ? (JSON.parse(fields[at + 1] ?? '') as AuditEntry) : undefined;
  } catch {
    return undefined;
  }
}
