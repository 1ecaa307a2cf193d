import type { ConnectionOptions } from 'node:tls';
import type { Cluster, ClusterNode, ClusterOptions, Redis } from 'ioredis';
import type { Clock } from '../../core/ports/clock.js';
import type { Entropy } from '../../core/ports/entropy.js';

/** The members of a Redis Cluster (Redis ≥ 7). */
export interface RedisClusterTarget {
  /** Some of its nodes; the others are found through them. */
  readonly nodes: readonly ClusterNode[];
  /** Addresses as this process reaches them, where they differ from what the nodes say. Default: none. */
  readonly natMap?: ClusterOptions['natMap'];
  /** How host names are resolved, e.g. `(address, done) => done(null, address)` for TLS by name. Default: DNS. */
  readonly dnsLookup?: ClusterOptions['dnsLookup'];
}

/** A master that Sentinels name. */
export interface RedisSentinelTarget {
  /** Name of the master, as the Sentinels know it. */
  readonly name: string;
  /** Where the Sentinels are; the first that answers names the master. Port: default 26379. */
  readonly sentinels: readonly { readonly host?: string; readonly port?: number }[];
  /** User name for the Sentinels themselves. Default: none. */
  readonly username?: string | undefined;
  /** Password for the Sentinels themselves. Default: none. */
  readonly password?: string | undefined;
  /** Whether the Sentinels speak TLS, with the options of `tls`. Default `false`. */
  readonly tls?: boolean;
}

/** An acknowledgement that promises replicas (G1). */
export interface RedisReplicated {
  /** Selects this kind of acknowledgement. */
  readonly level: 'replicated';
  /** Replicas that must have an event before it is acknowledged. Default 1. */
  readonly replicas?: number;
  /** How long they are waited for, in milliseconds; after that the outcome is `timeout`: unknown. Default 1 000. */
  readonly timeoutMs?: number;
}

/** Options of {@link redisBroker}. Exactly one of `url`, `client`, `cluster`, `sentinel`, or none for localhost. */
export interface RedisBrokerOptions {
  /** A single server, `redis://` or `rediss://`; may hold user and password. Default `redis://127.0.0.1:6379`, with a warning where `undefined` is given. */
  readonly url?: string | undefined;
  /**
   * An existing client, whose settings are taken over. The broker makes its own connections from them (the client's own
   * could send a command again after a reconnect, which would append twice), so it is neither used nor closed.
   */
  readonly client?: Redis | Cluster;
  /** A Redis Cluster. */
  readonly cluster?: RedisClusterTarget;
  /** A master behind Sentinels. */
  readonly sentinel?: RedisSentinelTarget;
  /** TLS towards the servers. Default: none, or what `rediss://` implies. */
  readonly tls?: ConnectionOptions;
  /** Default: that of `url`, or none. */
  readonly username?: string | undefined;
  /** Default: that of `url`, or none. Never logged. */
  readonly password?: string | undefined;
  /** Number of the database; a Cluster has only 0. Default 0, or that of `url`. */
  readonly db?: number;

  /** First part of every key, e.g. one per environment. Without braces. Default `rt`. */
  readonly keyPrefix?: string | undefined;
  /**
   * Name of the application. Stored when a prefix is first used with one; a node with another name under that prefix does not
   * start, and one without a name starts with a warning. 1–64 characters. Default: none; a node of a module with another `ticketSecret`
   * then starts with a warning.
   */
  readonly application?: string | undefined;
  /**
   * Parts into which the channels are divided; each lies on one slot of a Cluster. Fixed when a prefix is first used: one that
   * differs from what the deployment has fails at boot. More of them spread better over many masters, fewer make larger batches in a
   * Cluster; on a single server the number makes no difference. Default: what the deployment has, and 1 024 where it is new (64
   * in versions before this one).
   */
  readonly partitions?: number;
  /**
   * `'broker'`: acknowledged once the master has it. `{ level: 'replicated' }`: once replicas have it too.
   * Default `'broker'`.
   */
  readonly durability?: 'broker' | RedisReplicated;

  /** How long `start` tries to reach Redis, in milliseconds. Default 10 000. */
  readonly connectTimeoutMs?: number;
  /** How long a command waits for its answer, in milliseconds; after that its outcome is unknown. Default 3 000. */
  readonly commandTimeoutMs?: number;
  /**
   * Longest pause between two attempts to connect, in milliseconds. This is most of what an outage costs beyond its own length.
   * Default 200.
   */
  readonly maxReconnectMs?: number;
  /** Most commands that wait or are under way; further ones fail with `unavailable` at once. Default 20 000. */
  readonly maxQueued?: number;
  /**
   * Most bytes that wait or are under way: of events, of changes of members, and of all other commands, as much each; further
   * ones fail with `unavailable` at once. Default 64 MiB.
   */
  readonly maxQueuedBytes?: number;
  /**
   * Most bytes of messages to other nodes, such as requests of HTTP sessions that reached the wrong one, that wait until Redis has
   * taken them; further ones fail with `unavailable`, and the request with 503. Default 16 MiB.
   */
  readonly maxMessageQueueBytes?: number;
  /** Most events in one script call; bounds how long a call blocks Redis (about 5 µs for each event of one channel, up to 50 µs for each where every event has another channel). Default 256. */
  readonly maxBatch?: number;
  /** Most bytes of events in one script call; at most 8 MiB. A single event that is larger is sent alone. Default 1 MiB. */
  readonly maxBatchBytes?: number;
  /**
   * Most ids of publishes that one user has remembered through this node within one to two dedupe windows, in all channels (P15).
   * Each takes about 160 bytes in Redis, so the default is 8 MB for a user on a node. Further publishes of that user fail with
   * `rate_limited` until ids have ended, except repeats of what is remembered. All anonymous clients of a node together have five
   * times as many; the application itself is not counted. Default 50 000: a user may publish 83 events a second all the time with a window of 5 minutes.
   */
  readonly maxIdsPerProducer?: number;
  /** Script calls under way at once. In a Cluster it is 1 per partition: a redirected call could be overtaken. Default 4. */
  readonly pipelineDepth?: number;
  /**
   * Most bytes of events, or of members, in one answer of Redis; a single one that is larger comes alone, and the next read
   * continues. Default 256 KiB.
   */
  readonly maxReadBytes?: number;

  /** The check for a lost last event (G5). */
  readonly tipCheck?: {
    /** Every subscribed channel is looked at once in this time, in milliseconds. Default 25 000. */
    readonly intervalMs?: number;
  };
  /** How long a subscription at the server outlives `unsubscribe`, so that they end in batches. Default 1 000 ms. */
  readonly unsubscribeLingerMs?: number;
  /** How long an unused channel's head (epoch and `seq`) outlives its events, in milliseconds (P10). Default 30 days. */
  readonly headMs?: number;
  /** Time between two heartbeats of this node, in milliseconds. Default 1 000. */
  readonly heartbeatMs?: number;
  /** How long after its last heartbeat a node is still waited for, in milliseconds. Default 15 000. */
  readonly nodeTtlMs?: number;
  /** Time between two looks for leases that have run out, in milliseconds. Default 1 000. */
  readonly sweepMs?: number;
  /** How long `control` waits for a node's confirmation before it counts as missing, in milliseconds. Default 5 000. */
  readonly controlTimeoutMs?: number;

  /**
   * How old the last proof may be that this node knows every revoke and ban, in milliseconds. Each heartbeat brings one. Without
   * a younger proof the node withholds the events of channels that are not public, until it has one (G11). So this is how long a
   * revoke can stay unknown to a node that cannot read the control records, and how long that may last before events wait. At
   * least `heartbeatMs` and `commandTimeoutMs` together. Default 10 000.
   */
  readonly controlMaxAgeMs?: number;

  /**
   * How many replicas must have acknowledged that they follow the master before a heartbeat counts as such a proof: an old
   * master that is cut off together with this node has none, while another has taken its place. `0` believes the server that
   * answers. Where Sentinels name the master and this is left out: half of the replicas that it has had, rounded up, so `1` for
   * one or two; one that was removed counts for a minute, if the others suffice until then. Half is a proof where one Sentinel
   * runs beside each server and none elsewhere; otherwise they can promote one replica while half of them follow the old master:
   * give the number of all replicas. A server of a Cluster that is cut off stops by itself, after `cluster-node-timeout`.
   * Default 0.
   */
  readonly controlReplicas?: number;

  /** Called with a warning, such as of a setting of the server that weakens a promise. Default: `process.emitWarning`. */
  readonly onWarning?: (message: string) => void;
  /** Time of waits and retries; windows and leases run on the server's own. Default: the system's clock. */
  readonly clock?: Clock;
  /** Names epochs and nodes, and spreads retries. Default: the system's randomness. */
  readonly entropy?: Entropy;
}
