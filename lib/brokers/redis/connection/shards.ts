import type { Redis } from 'ioredis';
import type { Scheduled } from '../../../core/ports/clock.js';
import type { RedisKeys } from '../keys.js';
import type { RedisSettings } from '../settings.js';
import type { RedisCommands } from './commands.js';
import { RedisSubscriber, type SubscriberOwner } from './subscriber.js';
import type { RedisTarget } from './target.js';

/** How often the Cluster's map, which ioredis keeps, is compared with the connections. Costs no message. */
const LOOK_MS = 250;

/** What the shards tell their owner. */
export interface ShardsOwner extends SubscriberOwner {
  /** Partitions may lie on another server now. */
  onTopology(): void;
}

/**
 * Connections for subscriptions: one, or in a Cluster one for each master that holds a partition. Sharded pub/sub is
 * used everywhere, so that what is tested on one server is what runs on a Cluster; in a Cluster only the shard of a
 * channel carries its messages.
 *
 * ioredis has sharded subscribers of its own. They are not used: when a subscription cannot be renewed after a change
 * of the topology they say so only in a debug log, and nobody could check the tips after it.
 */
export class RedisShards {
  private readonly subscribers = new Map<string, RedisSubscriber>();
  private timer: Scheduled | undefined;
  private closed = false;

  constructor(
    private readonly target: RedisTarget,
    private readonly settings: RedisSettings,
    private readonly keys: RedisKeys,
    private readonly commands: RedisCommands,
    private readonly owner: ShardsOwner,
  ) {}

  /** Whether every subscription could be made. */
  get ready(): boolean {
    if (this.subscribers.size === 0) return false;
    for (const subscriber of this.subscribers.values()) if (!subscriber.ready) return false;
    return true;
  }

  start(): void {
    if (!this.target.clustered) {
      const client = this.target.create('subscriber') as Redis;
      this.add('', client);
      return;
    }
    this.look();
  }

  subscriberOf(partition: number): RedisSubscriber | undefined {
    return this.subscribers.get(this.serverOf(partition));
  }

  /** To be called when a server said that a slot is not its own. */
  refresh(): void {
    this.commands.cluster?.refreshSlotsCache();
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
    for (const subscriber of this.subscribers.values()) subscriber.close();
  }

  private serverOf(partition: number): string {
    return this.commands.cluster?.slots[this.keys.slotOf(partition)]?.[0] ?? '';
  }

  private look(): void {
    if (this.closed) return;
    this.reconcile();
    this.timer = this.settings.clock.schedule(LOOK_MS, () => this.look());
  }

  private reconcile(): void {
    const { cluster } = this.commands;
    if (cluster === undefined || cluster.slots.length === 0) return;
    const wanted = new Set<string>();
    for (let partition = 0; partition < this.keys.partitions; partition += 1)
      wanted.add(this.serverOf(partition));
    for (const server of wanted) {
      if (this.subscribers.has(server)) continue;
      const node = cluster
        .nodes('all')
        .find(({ options }) => `${options.host ?? ''}:${options.port ?? ''}` === server);
      if (node !== undefined) this.add(server, this.target.createFor(node, 'subscriber'));
    }
    for (const [server, subscriber] of this.subscribers) {
      if (wanted.has(server)) continue;
      this.subscribers.delete(server);
      subscriber.close();
      this.owner.onLost(subscriber);
    }
    this.owner.onTopology();
  }

  private add(server: string, client: Redis): void {
    const subscriber = new RedisSubscriber(client, this.settings, this.owner);
    this.subscribers.set(server, subscriber);
    subscriber.connect();
  }
}
