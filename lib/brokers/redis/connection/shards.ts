import type { Redis } from 'ioredis';
import type { Scheduled } from '../../../core/ports/clock.js';
import type { RedisKeys } from '../keys.js';
import type { RedisSettings } from '../settings.js';
import type { RedisCommands } from './commands.js';
import { RedisSubscriber, type SubscriberEvents } from './subscriber.js';
import type { RedisTarget } from './target.js';

/** How often the connections are compared with the Cluster's map, which ioredis keeps, in milliseconds. Costs no message. */
const COMPARE_MS = 250;

/** What the shards notify their owner of. */
export interface ShardEvents extends SubscriberEvents {
  /** Another server may hold a partition now. */
  onTopology(): void;
}

/**
 * Connections for subscriptions: one, or in a Cluster one for each master that holds a partition that is asked for. Uses sharded pub/sub
 * everywhere, so that the same code runs on a single server and on a Cluster, where only the shard of a channel carries its
 * messages.
 *
 * The sharded subscribers of ioredis itself are not used: when one cannot renew a subscription after a change of the topology
 * it says so only in a debug log, and the broker could not check the tips after it.
 */
export class RedisShards {
  private readonly subscribers = new Map<string, RedisSubscriber>();
  private timer: Scheduled | undefined;
  private partitions: readonly number[] = [];

  /** @param name what the connections are for, as in {@link RedisTarget.create}. */
  constructor(
    private readonly name: string,
    private readonly target: RedisTarget,
    private readonly settings: RedisSettings,
    private readonly keys: RedisKeys,
    private readonly commands: RedisCommands,
    private readonly events: ShardEvents,
  ) {}

  /** Whether subscriptions are possible in all partitions that were asked for. */
  get ready(): boolean {
    if (this.subscribers.size === 0) return false;
    for (const subscriber of this.subscribers.values()) if (!subscriber.ready) return false;
    return true;
  }

  /** @param partitions those of the topics that will be subscribed. */
  start(partitions: readonly number[]): void {
    this.partitions = partitions;
    if (this.target.clustered) this.compare();
    else this.add('', this.target.create(this.name) as Redis);
  }

  subscriberOf(partition: number): RedisSubscriber | undefined {
    return this.subscribers.get(this.serverOf(partition));
  }

  /** Moves a connection that leads to another server than the given one; without a Cluster. @returns whether one does. */
  stayWith(server: string): boolean {
    return this.subscribers.get('')?.stayWith(server) ?? false;
  }

  /** To be called when a server says that a slot is not its own. */
  refresh(): void {
    this.commands.cluster?.refreshSlotsCache();
  }

  close(): void {
    this.timer?.cancel();
    for (const subscriber of this.subscribers.values()) subscriber.close();
  }

  private serverOf(partition: number): string {
    return this.commands.cluster?.slots[this.keys.slotOf(partition)]?.[0] ?? '';
  }

  /** Compares the connections with the Cluster's map, and makes and ends some. */
  private compare(): void {
    this.timer = this.settings.clock.schedule(COMPARE_MS, () => this.compare());
    const { cluster } = this.commands;
    if (cluster === undefined || cluster.slots.length === 0) return;
    const wanted = new Set(this.partitions.map((partition) => this.serverOf(partition)));
    for (const server of wanted) {
      if (this.subscribers.has(server)) continue;
      const node = cluster
        .nodes('all')
        .find(({ options }) => `${options.host ?? ''}:${options.port ?? ''}` === server);
      if (node !== undefined) this.add(server, this.target.createFor(node, this.name));
    }
    for (const [server, subscriber] of this.subscribers) {
      if (wanted.has(server)) continue;
      this.subscribers.delete(server);
      subscriber.close();
      this.events.onLost(subscriber);
    }
    this.events.onTopology();
  }

  private add(server: string, client: Redis): void {
    const subscriber = new RedisSubscriber(client, this.settings, this.events, !this.target.clustered);
    this.subscribers.set(server, subscriber);
    subscriber.connect();
  }
}
