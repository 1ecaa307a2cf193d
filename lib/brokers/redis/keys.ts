import type { RestrictionOwner } from '../../core/ports/moderation.js';
import { fnv1a } from '../common/fnv1a.js';

/**
 * Layout of keys, records and scripts. Nodes of one layout work side by side: a node ignores what a newer version has added
 * to it. Another number is another layout, which this version neither reads nor writes.
 */
export const LAYOUT = 1;

/** The log of the control records; the leading `$` keeps it out of the reach of applications (P23). */
export const CONTROL_CHANNEL = '$rt.control';

/** Begins the names of the logs through which nodes probe Redis. */
export const PROBE_CHANNELS = '$rt.probe.';

/** Begins the names by which the topics of nodes are spread over the partitions. */
const NODE_CHANNELS = '$rt.node.';

/** Slots of a Redis Cluster. */
const SLOTS = 16_384;

/**
 * Names of all keys and pub/sub channels: `{<prefix>:<partition>}:v1:<kind>:<name>`. The first braces of a key are its
 * hash tag, and they come first, so no name of a channel or a client can choose a slot.
 */
export class RedisKeys {
  private slots: readonly number[] = [];
  /** What follows the kind in the name of a topic; see {@link separate}. */
  private topics = '';

  constructor(
    private readonly prefix: string,
    partitions: number,
  ) {
    this.divide(partitions);
  }

  get partitions(): number {
    return this.slots.length;
  }

  /** Takes the number of partitions that the deployment has, before the first channel is looked up. */
  divide(partitions: number): void {
    this.slots = Array.from({ length: partitions }, (_, partition) => slotOf(`${this.prefix}:${partition}`));
  }

  /** Control records lie in the first partition: all nodes must find them before they know how the channels are divided. */
  partitionOf(channel: string): number {
    return channel === CONTROL_CHANNEL ? 0 : partitionOf(channel, this.partitions);
  }

  /** How the topics are named; `''` in database 0, and in deployments that an older version began. */
  get topicsName(): string {
    return this.topics;
  }

  /**
   * Pub/sub knows no databases: what is published in one is heard in all. So the topics of another database than 0 have names of
   * their own.
   *
   * @param topics `@` and the number of the database; `''` for the names without it.
   */
  separate(topics: string): void {
    this.topics = topics;
  }

  /** The Cluster slot on which a partition lies. */
  slotOf(partition: number): number {
    return this.slots[partition] ?? 0;
  }

  /** Hash: epoch, `seq`, incarnation, forks, bounds of a log. */
  head(channel: string): string {
    return this.key(channel, 'h', channel);
  }

  /** Stream: the records of a log; the id of a record is the `seq` of its last event and the number of its events. */
  stream(channel: string): string {
    return this.key(channel, 'l', channel);
  }

  /** Pub/sub channel: events, signals and presence of a channel. */
  topic(channel: string, topics = this.topics): string {
    return this.key(channel, `c${topics}`, channel);
  }

  /** Where the epochs come from that were never written (see `EPOCHS`): one name for a partition. */
  origin(channel: string): string {
    return this.originOf(this.partitionOf(channel), channel.startsWith(PROBE_CHANNELS) ? 'probe' : '');
  }

  /** One for each partition. */
  get origins(): readonly string[] {
    return Array.from({ length: this.partitions }, (_, partition) => this.originOf(partition));
  }

  /** The keys of one log, for callers that need several of them. */
  of(channel: string): LogKeys {
    const start = `{${this.prefix}:${this.partitionOf(channel)}}:v${LAYOUT}:`;
    return {
      head: `${start}h:${channel}`,
      stream: `${start}l:${channel}`,
      topic: `${start}c${this.topics}:${channel}`,
      ids: [`${start}i1:${channel}`, `${start}i2:${channel}`],
      origin: this.origin(channel),
    };
  }

  /** The keys of a channel's presence, in the order that its scripts want. */
  room(channel: string): readonly string[] {
    const kinds = ['p', 'pm', 'po', 'pd', 'pl'];
    return [
      ...kinds.map((kind) => this.key(channel, kind, channel)),
      this.due(this.partitionOf(channel)),
      this.topic(channel),
      this.origin(channel),
    ];
  }

  /** Sorted set: channels of a partition by the earliest end of a lease. */
  due(partition: number): string {
    return this.inPartition(partition, 'due', '');
  }

  /** Hash: holders of a thing, which lies in the partition of its channel. */
  holders(channel: string, thing: string): string {
    return this.key(channel, 'xh', thing);
  }

  /** Of the transitions of a partition: things by their latest end, the record (a stream), and the node that consumes it. */
  transitions(partition: number): readonly [due: string, record: string, consumer: string] {
    return [
      this.inPartition(partition, 'xd', ''),
      this.inPartition(partition, 'xr', ''),
      this.inPartition(partition, 'xc', ''),
    ];
  }

  /** Sorted set: nodes by the time until which their last heartbeat counts. */
  get nodes(): string {
    return this.key(CONTROL_CHANNEL, 'nodes', '');
  }

  /** Hash: restrictions that hold, as JSON, by `restrictionKey`. */
  get restrictions(): string {
    return this.key(CONTROL_CHANNEL, 'restrictions', '');
  }

  /** Hash: bans of users everywhere that hold, as JSON, by user. */
  get bans(): string {
    return this.key(CONTROL_CHANNEL, 'bans', '');
  }

  /** What is kept of restrictions and bans: when those of an owner end and what they take in bytes, the same of the other owner, and both tables. */
  keptOf(owner: RestrictionOwner): readonly string[] {
    const other = owner === 'people' ? 'spam' : 'people';
    return [...this.restrictionsOf(owner), ...this.restrictionsOf(other), this.restrictions, this.bans];
  }

  /** Sorted set: when those of an owner end, by the server's time. Number: what those take, in bytes. */
  restrictionsOf(owner: RestrictionOwner): readonly [ends: string, bytes: string] {
    const of = owner === 'people' ? '' : owner;
    return [this.key(CONTROL_CHANNEL, 'ends', of), this.key(CONTROL_CHANNEL, 'weight', of)];
  }

  /** Hash: what the nodes of a deployment must agree on. */
  get meta(): string {
    return this.key(CONTROL_CHANNEL, 'meta', '');
  }

  /** Number of the layout under this prefix; the one key that every layout has, so its name holds none. */
  get layout(): string {
    return `{${this.prefix}:0}:layout`;
  }

  /** Hash: which nodes applied a control record. */
  answers(record: string): string {
    return this.key(CONTROL_CHANNEL, 'a', record);
  }

  /** Pub/sub channel on which a node receives confirmations. */
  answersTo(node: string): string {
    return this.key(CONTROL_CHANNEL, `r${this.topics}`, node);
  }

  /** Pub/sub channel on which a node receives messages of other nodes: on a server of its own, as they may be many. */
  messagesTo(node: string): string {
    return this.inPartition(this.partitionOfNode(node), `m${this.topics}`, node);
  }

  partitionOfNode(node: string): number {
    return this.partitionOf(`${NODE_CHANNELS}${node}`);
  }

  /** Heads of probes live for a minute, and an origin lives no longer than any head: they have one of their own. */
  private originOf(partition: number, name = ''): string {
    return this.inPartition(partition, 'o', name);
  }

  private key(channel: string, kind: string, name: string): string {
    return this.inPartition(this.partitionOf(channel), kind, name);
  }

  private inPartition(partition: number, kind: string, name: string): string {
    return `{${this.prefix}:${partition}}:v${LAYOUT}:${kind}:${name}`;
  }
}

/** The keys of one log; see {@link RedisKeys}. */
export interface LogKeys {
  readonly head: string;
  readonly stream: string;
  readonly topic: string;
  /** Hashes: the ids that the log remembers, by {@link idField}. */
  readonly ids: readonly [string, string];
  /** Where the epoch comes from when the log is written for the first time. */
  readonly origin: string;
}

/** An id in the memory of a log. The length keeps pairs apart whose concatenation is the same. */
export function idField(producer: string, id: string): string {
  return `${producer.length}:${producer}${id}`;
}

/**
 * The partition of a channel: FNV-1a over its characters, which the grammar of names keeps to ASCII, well mixed. Every
 * version of the library must give the same answer, as it decides where a channel's log lies.
 */
export function partitionOf(channel: string, partitions: number): number {
  let hash = fnv1a(channel);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x45d9f3b);
  hash ^= hash >>> 16;
  return (hash >>> 0) % partitions;
}

/** The slot of a hash tag: CRC16 (XMODEM), as the Redis Cluster specification has it. */
export function slotOf(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
    crc &= 0xffff;
  }
  return crc % SLOTS;
}
