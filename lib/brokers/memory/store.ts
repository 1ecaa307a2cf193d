import type { Clock } from '../../core/ports/clock.js';
import type { Entropy } from '../../core/ports/entropy.js';
import { MemoryChannel, type MemorySubscriber } from './channel.js';
import { MemoryControl } from './control.js';
import type { IdBudget } from './dedupe.js';
import { MemoryDispatcher } from './dispatcher.js';
import type { MemoryNode } from './node.js';
import { storeSettings, type MemoryStoreOptions } from './options.js';
import { MemoryPresence } from './presence.js';
import { MemorySweeper } from './sweeper.js';

/**
 * The logs, ids, members and bans of one or more {@link MemoryBroker}s. Brokers with the same store are nodes of one
 * cluster inside one process; what the store holds outlives each of them, and ends with the process. It owns two
 * timers, and only while a broker is started on it.
 *
 * @example
 * const store = new MemoryStore();
 * const [left, right] = [memoryBroker({ store }), memoryBroker({ store })];
 */
export class MemoryStore {
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** @internal */
  readonly presence: MemoryPresence;
  /** @internal */
  readonly control: MemoryControl;
  /** @internal */
  readonly dispatcher = new MemoryDispatcher();
  /** @internal Ids that all channels together may remember. */
  readonly ids: IdBudget;
  private readonly channels = new Map<string, MemoryChannel>();
  private readonly nodes = new Set<MemoryNode>();
  private readonly sweeper: MemorySweeper;
  /** Channels with a subscriber. */
  private active = 0;

  /** @throws RangeError when a bound is not a positive number. */
  constructor(options: MemoryStoreOptions = {}) {
    const settings = storeSettings(options);
    this.clock = settings.clock;
    this.entropy = settings.entropy;
    this.ids = { used: 0, max: settings.maxIds };
    this.sweeper = new MemorySweeper(this.channels, settings, () => this.channels.size - this.active);
    this.control = new MemoryControl(settings.clock, this.dispatcher);
    this.presence = new MemoryPresence(
      (channel) => this.open(channel, this.clock.now()),
      (channel) => this.channels.get(channel),
      settings.clock,
      settings.entropy,
      this.dispatcher,
    );
  }

  /** Channels in memory, used or idle. */
  get size(): number {
    return this.channels.size;
  }

  /**
   * Forgets a channel's events and begins a new, empty log: earlier positions are `lost: epoch_changed`. Ids stay
   * remembered, so that a late retry does not append again what was just deleted. Notifies nobody: subscribers
   * notice the new epoch with the next event, or when they next read the log (G5).
   */
  clear(channel: string): void {
    this.channels.get(channel)?.log.clear(this.entropy.token());
  }

  /**
   * Does to a log what a failover to a replica that was behind does (G6): everything after `keep` is lost, ids included, and
   * a new epoch continues from there. Positions of the old epoch up to `keep` stay valid. For tests of the code above a broker.
   */
  failOver(channel: string, keep: number): void {
    const found = this.channels.get(channel);
    if (found === undefined) return;
    found.log.fork(this.entropy.token(), keep);
    found.ids.forgetAfter(keep);
  }

  /** @internal */
  attach(node: MemoryNode): void {
    this.nodes.add(node);
    this.sweeper.start();
    this.presence.deadlines.start();
  }

  /** @internal */
  detach(node: MemoryNode): void {
    node.closed = true;
    for (const channel of [...node.channels]) this.unsubscribe(channel.name, node);
    this.nodes.delete(node);
    this.control.forget(node);
    if (this.nodes.size > 0) return;
    this.sweeper.stop();
    this.presence.deadlines.stop();
  }

  /** @internal Nodes that are started, in the order in which they started. */
  get started(): readonly MemoryNode[] {
    return [...this.nodes];
  }

  /** @internal Idempotent for one subscriber. */
  subscribe(name: string, subscriber: MemorySubscriber): MemoryChannel {
    const channel = this.open(name, this.clock.now());
    if (channel.add(subscriber)) this.active += 1;
    return channel;
  }

  /** @internal Idempotent. */
  unsubscribe(name: string, subscriber: MemorySubscriber): MemoryChannel | undefined {
    const channel = this.channels.get(name);
    if (channel?.remove(subscriber) !== true) return channel;
    this.active -= 1;
    channel.usedAt = this.clock.now();
    return channel;
  }

  /** @internal The channel, when there is one. */
  find(name: string): MemoryChannel | undefined {
    return this.channels.get(name);
  }

  /** @internal The channel, which is made when there is none. */
  open(name: string, now: number): MemoryChannel {
    let channel = this.channels.get(name);
    if (channel === undefined) {
      this.sweeper.makeRoom();
      channel = new MemoryChannel(name, this.entropy.token(), this.ids, now);
      this.channels.set(name, channel);
      this.sweeper.wake();
    }
    channel.usedAt = now;
    return channel;
  }
}
