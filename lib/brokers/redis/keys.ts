import { partitionOf, slotOf } from './partition.js';

/**
 * Layout of keys, records and scripts. Nodes of one layout work side by side, whatever else they know: what is added to it
 * is ignored by who does not know it. Another number is another layout, which this version neither reads nor writes.
 */
export const LAYOUT = 1;

/** The log through which control records travel; the leading `$` keeps it out of applications' reach (P23). */
export const CONTROL_CHANNEL = '$rt.control';

/** Begins the names of the logs through which nodes probe the way to Redis. */
export const PROBE_CHANNELS = '$rt.probe.';

/**
 * Names of all keys and pub/sub channels: `{<prefix>:<partition>}:v1:<kind>:<name>`. The first braces of a key are its
 * hash tag, and they come first, so whatever a channel or a client is called, it cannot choose a slot.
 */
export class RedisKeys {
  private readonly slots: readonly number[];

  constructor(
    private readonly prefix: string,
    readonly partitions: number,
  ) {
    this.slots = Array.from({ length: partitions }, (_, partition) => slotOf(`${prefix}:${partition}`));
  }

  /** What all nodes must find before they know how the channels are divided lies in the first partition. */
  partitionOf(channel: string): number {
    return channel === CONTROL_CHANNEL ? 0 : partitionOf(channel, this.partitions);
  }

  /** The Cluster slot on which a partition lies. */
  slotOf(partition: number): number {
    return this.slots[partition] ?? 0;
  }

  /** Hash: epoch, `seq`, incarnation, forks, bounds of a log. */
  head(channel: string): string {
    return this.of(channel).head;
  }

  /** Stream: the records of a log; the id of one is the `seq` of its last event and the number of its events. */
  stream(channel: string): string {
    return this.of(channel).stream;
  }

  /** Pub/sub channel: events, signals and presence of a channel. */
  topic(channel: string): string {
    return this.of(channel).topic;
  }

  /** The keys of one log, for who needs several of them. */
  of(channel: string): LogKeys {
    return new LogKeys(`{${this.prefix}:${this.partitionOf(channel)}}:v${LAYOUT}:`, channel);
  }

  /** The keys of a channel's presence, in the order that its scripts want. */
  room(channel: string): readonly string[] {
    return [
      this.key(channel, 'p', channel),
      this.key(channel, 'pm', channel),
      this.key(channel, 'po', channel),
      this.key(channel, 'pd', channel),
      this.key(channel, 'pl', channel),
      this.due(this.partitionOf(channel)),
      this.topic(channel),
    ];
  }

  /** Sorted set: channels of a partition by the earliest end of a lease. */
  due(partition: number): string {
    return this.inPartition(partition, 'due', '');
  }

  /** Sorted set: nodes by the end of their last sign of life. */
  get nodes(): string {
    return this.key(CONTROL_CHANNEL, 'nodes', '');
  }

  /** Hash: bans that hold, as JSON, by user. */
  get bans(): string {
    return this.key(CONTROL_CHANNEL, 'bans', '');
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

  /** Pub/sub channel on which a node is told of confirmations. */
  answersTo(node: string): string {
    return this.key(CONTROL_CHANNEL, 'r', node);
  }

  private key(channel: string, kind: string, name: string): string {
    return this.inPartition(this.partitionOf(channel), kind, name);
  }

  private inPartition(partition: number, kind: string, name: string): string {
    return `{${this.prefix}:${partition}}:v${LAYOUT}:${kind}:${name}`;
  }
}

/** The keys of one log; see {@link RedisKeys}. */
export class LogKeys {
  constructor(
    private readonly start: string,
    private readonly channel: string,
  ) {}

  get head(): string {
    return `${this.start}h:${this.channel}`;
  }

  get stream(): string {
    return `${this.start}l:${this.channel}`;
  }

  get topic(): string {
    return `${this.start}c:${this.channel}`;
  }

  /** Hashes: the ids that the log remembers, by {@link idField}. */
  get ids(): readonly [string, string] {
    return [`${this.start}i1:${this.channel}`, `${this.start}i2:${this.channel}`];
  }
}

/** An id among those that a log remembers. The length keeps pairs apart whose concatenation is the same. */
export function idField(producer: string, id: string): string {
  return `${producer.length}:${producer}${id}`;
}
