import type { Cluster, ClusterOptions, Command, Redis, RedisOptions } from 'ioredis';
import { hearLaterErrors } from '../../../core/async/later-errors.js';
import { optionErrorOf, type OptionError } from '../../../protocol/validation/option-error.js';
import { notRunning } from '../errors.js';
import type { RedisBrokerOptions } from '../options.js';
import type { RedisSettings } from '../settings.js';
import { loadDriver, type RedisDriver } from './driver.js';

/** Sentinels that are listened to, at most. */
const MAX_SENTINELS = 10;

/** A client for commands. */
export type RedisClient = Redis | Cluster;

/** Where Redis is, and how connections to it are made. */
export class RedisTarget {
  readonly clustered: boolean;
  /** For messages: addresses only, never credentials. */
  readonly where: string;
  private readonly make: (driver: RedisDriver, name: string) => RedisClient;
  private readonly watched: RedisOptions | undefined;
  private loaded: RedisDriver | undefined;

  /**
   * @param caller the function that the application called, for errors and warnings.
   * @throws RangeError for options that contradict one another; it names them.
   */
  constructor(
    options: RedisBrokerOptions,
    private readonly settings: RedisSettings,
    caller = 'redisBroker',
  ) {
    const optionError = optionErrorOf(caller);
    const address = (node: Parameters<typeof addressOf>[0]): string => addressOf(node, optionError);
    const given = (['url', 'client', 'cluster', 'sentinel'] as const).filter(
      (name) => options[name] !== undefined,
    );
    if (given.length > 1) throw optionError(given.join('`, `'), 'exclude one another. Give one of them');
    const { client, cluster, sentinel, tls, username, password, db } = options;
    const access: RedisOptions = defined({ tls, username, password, db });
    this.clustered = cluster !== undefined || (client !== undefined && client.isCluster === true);
    if (this.clustered && db !== undefined && db !== 0)
      throw optionError('db', 'must be 0: a Cluster has no other');

    if (client !== undefined) {
      this.where = 'the given client';
      if (settings.isWatched) this.watched = (client as Redis).options;
      this.make = (_driver, name) =>
        isCluster(client)
          ? client.duplicate([], this.clusterOptions(name, {}))
          : client.duplicate(this.options(name));
    } else if (cluster !== undefined) {
      if (cluster.nodes.length === 0) throw optionError('cluster.nodes', 'must name at least one node');
      this.where = `the Cluster of ${cluster.nodes.map(address).join(', ')}`;
      const own: ClusterOptions = defined({ natMap: cluster.natMap, dnsLookup: cluster.dnsLookup });
      this.make = ({ Cluster }, name) =>
        new Cluster([...cluster.nodes], { ...own, ...this.clusterOptions(name, access) });
    } else if (sentinel !== undefined) {
      if (sentinel.sentinels.length === 0) throw optionError('sentinel.sentinels', 'must name at least one');
      this.where = `the master "${sentinel.name}" of the Sentinels ${sentinel.sentinels.map(address).join(', ')}`;
      const through: RedisOptions = {
        name: sentinel.name,
        sentinels: [...sentinel.sentinels],
        ...defined({ sentinelUsername: sentinel.username, sentinelPassword: sentinel.password }),
        ...(sentinel.tls === true ? { enableTLSForSentinelMode: true, sentinelTLS: tls ?? {} } : {}),
        sentinelRetryStrategy: (times) => this.pause(times),
      };
      this.watched = through;
      this.make = ({ Redis }, name) => new Redis({ ...access, ...through, ...this.options(name) });
    } else {
      const url = options.url ?? 'redis://127.0.0.1:6379';
      this.where = whereOf(url, optionError);
      if ('url' in options && options.url === undefined)
        settings.onWarning(
          `${caller}: \`url\` is undefined, so ${this.where} is used. Is its environment variable set?`,
        );
      this.make = ({ Redis }, name) => new Redis(url, { ...access, ...this.options(name) });
    }
  }

  /** Before anything is made. @throws Error with the command that installs `ioredis`. */
  async load(): Promise<void> {
    this.loaded ??= await loadDriver();
  }

  /** A client that is not connected yet. */
  create(name: string): RedisClient {
    return silenced(this.make(this.driver, name));
  }

  /**
   * Clients for the Sentinels that were given, not connected yet, the name of the master there, and at which address a server is
   * reached that they announce with another (`natMap` of a given client).
   */
  sentinels(): {
    readonly name: string;
    readonly clients: readonly Redis[];
    readonly reached: (address: string) => string;
  } {
    const {
      name = '',
      natMap,
      sentinels,
      sentinelUsername,
      sentinelPassword,
      sentinelTLS,
    } = this.watched ?? {};
    const clients = (sentinels ?? []).slice(0, MAX_SENTINELS).map(({ host = '127.0.0.1', port = 26_379 }) => {
      const access = defined({ username: sentinelUsername, password: sentinelPassword, tls: sentinelTLS });
      const options = { ...this.options('sentinel'), ...access, host, port, enableReadyCheck: false };
      return silenced(new this.driver.Redis(options as RedisOptions));
    });
    const reached = (address: string): string => {
      const mapped = typeof natMap === 'function' ? natMap(address) : natMap?.[address];
      return mapped == null ? address : `${mapped.host}:${mapped.port}`;
    };
    return { name, clients, reached };
  }

  /** A command, for {@link RedisClient.sendCommand}. */
  commandOf(name: string, args: (string | Buffer)[]): Command {
    return new this.driver.Command(name, args, { replyEncoding: 'utf8' });
  }

  /** A client, not connected yet, for one server of a Cluster: of a client of this target, so what it makes is silenced. */
  createFor(node: Redis, name: string): Redis {
    return node.duplicate({ ...this.options(name), readOnly: false });
  }

  private get driver(): RedisDriver {
    if (this.loaded === undefined) throw notRunning();
    return this.loaded;
  }

  /**
   * What makes a client safe for appends: nothing is queued while there is no connection and nothing is sent twice, as a
   * repeated script call could append twice. The broker renews subscriptions itself, as it must know when.
   */
  private options(name: string): RedisOptions {
    return {
      lazyConnect: true,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      enableAutoPipelining: false,
      maxRetriesPerRequest: 0,
      keyPrefix: '',
      connectTimeout: Math.min(this.settings.connectTimeoutMs, 2 * this.settings.commandTimeoutMs),
      sentinelCommandTimeout: this.settings.commandTimeoutMs,
      connectionName: `nestjs-realtime-${name}`,
      retryStrategy: (times) => this.pause(times),
      // Whether a server that loads its data is ready is asked as often as one that is away.
      maxLoadingRetryTime: this.settings.maxReconnectMs,
      // A master that became a replica: look for the new one, but do not send the command again.
      reconnectOnError: (error) => error.message.startsWith('READONLY'),
    };
  }

  private clusterOptions(name: string, access: RedisOptions): ClusterOptions {
    return {
      lazyConnect: true,
      // A command may wait for the first connection to its server; without this it would fail while that is being made.
      enableOfflineQueue: true,
      enableAutoPipelining: false,
      scaleReads: 'master',
      keyPrefix: '',
      slotsRefreshInterval: 2_000,
      // Only answers that prove that nothing was done may be followed by another attempt.
      retryDelayOnFailover: 0,
      retryDelayOnClusterDown: 0,
      clusterRetryStrategy: (times) => this.pause(times),
      redisOptions: {
        ...access,
        maxRetriesPerRequest: 0,
        autoResubscribe: false,
        autoResendUnfulfilledCommands: false,
        keyPrefix: '',
        connectionName: `nestjs-realtime-${name}`,
      },
    };
  }

  private pause(times: number): number {
    const longest = Math.min(this.settings.maxReconnectMs, 25 * 2 ** Math.min(times, 10));
    return longest * (0.5 + this.settings.entropy.random() / 2);
  }
}

/** Without the members that are `undefined`, which would replace what a URL says. */
function defined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

export function isCluster(client: RedisClient): client is Cluster {
  return client.isCluster === true;
}

/** ioredis starts its timer for slots again when it is closed while it asks for them, and the process would never end. */
export function endSlotsTimer(cluster: Cluster): void {
  Object.defineProperty(cluster, 'slotsTimer', {
    get: () => null,
    set: (timer: NodeJS.Timeout | null) => clearTimeout(timer ?? undefined),
  });
}

/** Methods by which ioredis makes clients for itself, on the clients that it made and on what they connect through. */
interface MakesClients {
  duplicate?: (...args: never[]) => Redis;
  connectToSentinel?: (...args: never[]) => Redis;
}

/**
 * Without a listener ioredis writes errors to the console, secrets included; the broker looks at states instead. What it makes for
 * itself is silenced too: the connections to the servers of a Cluster, the duplicates of them by which it asks for the slots, and those
 * by which it asks Sentinels. Its own subscriber of a Cluster connects only for subscriptions, and has none.
 */
function silenced<T extends RedisClient>(client: T): T {
  if (isCluster(client)) {
    client.on('error', () => undefined);
    client.on('+node', (node: Redis) => silenceMade(silenced(node), 'duplicate'));
    return client;
  }
  silenceMade((client as unknown as { readonly connector?: MakesClients }).connector, 'connectToSentinel');
  client.on('error', () => hearLaterErrors(client.stream));
  return client;
}

/** Silences every client that the method makes from now on. */
function silenceMade(maker: MakesClients | undefined, method: keyof MakesClients): void {
  const make = maker?.[method];
  if (maker !== undefined && make !== undefined)
    maker[method] = (...args) => silenced(make.apply(maker, args));
}

function addressOf(
  node: string | number | { readonly host?: string | undefined; readonly port?: number | undefined },
  optionError: OptionError,
): string {
  if (typeof node === 'number') return `127.0.0.1:${node}`;
  if (typeof node === 'string') return whereOf(node.includes('://') ? node : `redis://${node}`, optionError);
  return `${node.host ?? '127.0.0.1'}:${node.port ?? 6379}`;
}

/** The address in a URL. The URL itself may hold a password, and is named in no message. */
function whereOf(url: string, optionError: OptionError): string {
  try {
    const { hostname, port } = new URL(url);
    if (/^rediss?:\/\//.test(url))
      return `${hostname === '' ? '127.0.0.1' : hostname}:${port === '' ? 6379 : port}`;
  } catch {
    // Not a URL: the error below names the option.
  }
  throw optionError('url', 'must be like redis://host:6379 or rediss://user:password@host:6380');
}
