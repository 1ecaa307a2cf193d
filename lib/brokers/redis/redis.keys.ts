import { partitionOf, slotOf } from './redis.partition.js';

/** Of the layout of keys and messages. A new one is read beside the old one for one version of the library. */
const LAYOUT = 'v1';

/** The log through which control records travel; the leading `$` keeps it out of applications' reach (P23). */
export const CONTROL_CHANNEL = '$rt.control';

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

  /** Hash: epoch, `seq`, incarnation, forks of a log. */
  head(channel: string): string {
    return this.key(channel, 'h', channel);
  }

  /** Stream: the events of a log; the id of an entry is `seq-0`. */
  stream(channel: string): string {
    return this.key(channel, 'l', channel);
  }

  /** Pub/sub channel: events, signals and presence of a channel. */
  topic(channel: string): string {
    return this.key(channel, 'c', channel);
  }

  /** String: where an id was appended. The lengths keep pairs apart whose concatenation is the same. */
  id(channel: string, producer: string, id: string): string {
    return this.key(channel, 'i', `${channel.length}:${channel}${producer.length}:${producer}${id}`);
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
    return `{${this.prefix}:${partition}}:${LAYOUT}:${kind}:${name}`;
  }
}
