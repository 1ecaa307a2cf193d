import {
  assertBeginning,
  assertOptions,
  consumeSettings,
  consumerOf,
  delay,
  lookMs,
  type ConsumeOptions,
  type ConsumeSettings,
  type LaneWork,
  type OwnOptions,
  type RecordSource,
} from '../../../consumers/index.js';
import type { ThrottledLog } from '../../../core/async/throttled-log.js';
import type { ConsumerSite, RealtimeConsumer } from '../../../core/ports/consumers.js';
import { optionErrorOf } from '../../../protocol/validation/option-error.js';
import { RedisTarget } from '../connection/target.js';
import type { RedisBrokerOptions } from '../options.js';
import { redisSettings, type RedisSettings } from '../settings.js';
import type { RedisStreamRecord } from './record.js';
import { MAKE } from './scripts.js';
import { StreamClient } from './stream-client.js';
import { StreamLane, streamKeys } from './stream-lane.js';

/** Where the streams are: as of `redisBroker()`, whose meanings and defaults these have. */
type RedisConnectionOptions = Pick<
  RedisBrokerOptions,
  | 'url'
  | 'client'
  | 'cluster'
  | 'sentinel'
  | 'tls'
  | 'username'
  | 'password'
  | 'db'
  | 'connectTimeoutMs'
  | 'commandTimeoutMs'
  | 'maxReconnectMs'
>;

/** Options of {@link fromRedisStreams}. */
export interface FromRedisStreamsOptions extends RedisConnectionOptions, ConsumeOptions<RedisStreamRecord> {
  /** Names of the streams. Each is read by one node at a time, so that its order is kept. */
  readonly streams: string | readonly string[];
  /** Name of the group, of this application alone: it is made where there is none, and knows what was published. */
  readonly group: string;
  /** Where a group that is new begins: at the first entry of the stream, or behind the last. Default `'first'`. */
  readonly from?: 'first' | 'next' | undefined;
}

const OWN: OwnOptions<FromRedisStreamsOptions> = {
  streams: { kind: 'texts', required: 'Name one or more streams' },
  group: { kind: 'text', required: 'Name a group of this application alone' },
  from: {},
  url: {},
  client: {},
  cluster: {},
  sentinel: {},
  tls: {},
  username: {},
  password: {},
  db: {},
  connectTimeoutMs: {},
  commandTimeoutMs: {},
  maxReconnectMs: {},
};

/**
 * Makes events of the entries of Redis Streams, each once and in the order of its stream, for the option `consumers` of the module. An
 * entry is acknowledged (`XACK`) when its event is. Needs the package `ioredis`, and Redis 7 or newer.
 *
 * @example
 * RealtimeModule.forRoot({
 *   consumers: [
 *     fromRedisStreams({
 *       url: 'redis://redis:6379',
 *       streams: 'orders',
 *       group: 'realtime',
 *       to: ({ fields }) => ({ channel: `orders.${fields.order}`, event: 'order.changed', payload: fields }),
 *     }),
 *   ],
 * });
 * @throws RangeError for an option that cannot be or is missing, and for a name that is none; it names the option and the remedy.
 * @publicApi
 */
export function fromRedisStreams(options: FromRedisStreamsOptions): RealtimeConsumer {
  const optionError = optionErrorOf('fromRedisStreams');
  assertOptions(options, 'fromRedisStreams', OWN);
  const { streams, group, from = 'first' } = options;
  const names = typeof streams === 'string' ? [streams] : [...streams];
  if (names.length === 0 || names.includes('')) throw optionError('streams', 'must name at least one stream');
  if (new Set(names).size < names.length) throw optionError('streams', 'names a stream twice');
  if (!/^[^\s{}]{1,128}$/.test(group))
    throw optionError('group', 'must have 1 to 128 characters without blanks and braces');
  assertBeginning(from, optionError);
  const settings = consumeSettings(options, 'fromRedisStreams', `redis ${names.join(' ')} ${group}`);
  const {
    to: _to,
    deadLetter: _letter,
    maxBatch: _batch,
    maxBatchBytes: _bytes,
    takeOverMs: _takeOver,
    name: _name,
    ...connection
  } = options;
  const { streams: _streams, group: _group, from: _from, ...where } = connection;
  const redis = redisSettings(where, 'fromRedisStreams');
  const target = new RedisTarget(where, redis, 'fromRedisStreams');
  return consumerOf(
    settings,
    (site, journal) => new RedisStreams(target, redis, { names, group, from }, settings, site, journal),
    names.map((stream) => ({
      server: serverOf(where, target),
      what: `the stream ${stream} with the group ${group}`,
    })),
  );
}

interface Wanted {
  readonly names: readonly string[];
  readonly group: string;
  readonly from: 'first' | 'next';
}

/** Reads each of the streams for as long as it has its lease. */
class RedisStreams implements RecordSource<RedisStreamRecord> {
  private readonly lags = new Map<string, number | undefined>();
  /** Whether the groups were there: one that is missing later on went with its stream. */
  private wereMade = false;
  /** In whose name leases are held: the next session of this node has those of the one before. */
  private readonly owner: string;

  constructor(
    private readonly target: RedisTarget,
    private readonly redis: RedisSettings,
    private readonly wanted: Wanted,
    private readonly settings: ConsumeSettings<RedisStreamRecord>,
    private readonly site: ConsumerSite,
    private readonly journal: ThrottledLog,
  ) {
    this.owner = site.entropy.token();
  }

  lag(): number | undefined {
    const lags = [...this.lags.values()];
    return lags.length === 0 || lags.includes(undefined)
      ? undefined
      : lags.reduce<number>((sum, lag) => sum + (lag ?? 0), 0);
  }

  async run(work: LaneWork<RedisStreamRecord>, signal: AbortSignal): Promise<void> {
    const { redis, site, target, wanted } = this;
    await target.load();
    const client = new StreamClient(target, site.clock, redis.commandTimeoutMs);
    // Ends all streams when one fails, or the connection does.
    const session = new AbortController();
    const end = (): void => session.abort();
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    try {
      await client.connect(end);
      const start = wanted.from === 'next' && !this.wereMade ? '$' : '0';
      for (const name of wanted.names) {
        const identity = site.entropy.token();
        const args = [wanted.group, this.owner, this.settings.takeOverMs, identity, start];
        await client.run(MAKE, streamKeys(name, wanted.group), args);
      }
      this.wereMade = true;
      work.onReady();
      const all = wanted.names.map((name) => this.keep(name, client, work, session.signal));
      try {
        await Promise.all(all);
        if (client.isLost && !signal.aborted) throw new Error(`the connection to ${target.where} was lost`);
      } finally {
        end();
        await Promise.allSettled(all);
      }
    } finally {
      signal.removeEventListener('abort', end);
      this.lags.clear();
      client.close();
    }
  }

  /** Looks for the lease of a stream, and reads it while it has it. */
  private async keep(
    stream: string,
    client: StreamClient,
    work: LaneWork<RedisStreamRecord>,
    signal: AbortSignal,
  ): Promise<void> {
    const { settings, site } = this;
    while (!signal.aborted) {
      const lane = this.laneOf(stream, client, signal);
      try {
        if (await lane.acquire()) await work.follow(lane);
      } finally {
        await lane.release();
      }
      await delay(site.clock, lookMs(settings.takeOverMs, site.entropy), signal);
    }
  }

  private laneOf(stream: string, client: StreamClient, signal: AbortSignal): StreamLane {
    const { journal, owner, settings, site, wanted } = this;
    const { maxBatch, maxBatchBytes, name: consumer, takeOverMs: leaseMs } = settings;
    const { clock, entropy } = site;
    const identity = entropy.token();
    const deps = {
      ...{
        client,
        clock,
        journal,
        consumer,
        group: wanted.group,
        owner,
        leaseMs,
        maxBatch,
        maxBatchBytes,
        identity,
      },
      onLag: (entries: number | undefined) => void this.lags.set(stream, entries),
    };
    return new StreamLane(stream, deps, signal);
  }
}

/** A given client is one server, as far as is known: two of them may lead anywhere. */
function serverOf({ client, db, url }: RedisConnectionOptions, { where }: RedisTarget): unknown {
  if (client !== undefined) return client;
  const { pathname = '', search = '' } = url === undefined ? {} : new URL(url);
  return `redis ${where} ${db ?? Number(pathname.slice(1))} ${search}`;
}
