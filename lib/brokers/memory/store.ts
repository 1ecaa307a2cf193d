import type { ReadRequest, ReadResult } from '../../core/ports/broker.js';
import type { Clock } from '../../core/ports/clock.js';
import type { Entropy } from '../../core/ports/entropy.js';
import type { Position } from '../../protocol/position.js';
import { readUnwritten } from './channel-log.js';
import { channelBytes, MemoryChannel, type MemorySubscriber } from './channel.js';
import { MemoryControl } from './control.js';
import { EndQueue, timeOf } from './deadlines.js';
import { MemoryDispatcher } from './dispatcher.js';
import { Epochs } from './epochs.js';
import { EvictionOrder } from './eviction-order.js';
import { IdMemory } from './ids.js';
import { Ledger } from './ledger.js';
import type { MemoryNode } from './node.js';
import { storeSettings, type MemoryStoreOptions, type MemoryStoreSettings } from './options.js';
import { MemoryPresence } from './presence.js';
import { Pressure } from './pressure.js';
import { MemorySweeper } from './sweeper.js';
import { MemoryTransitions } from './transitions.js';

/** What a {@link MemoryStore} holds, and what it dropped and refused since it was made. */
export interface MemoryStoreStats {
  /** Bytes of everything that it holds, as `maxBytes` bounds them. */
  readonly bytes: number;
  /** The bound of `bytes`. */
  readonly maxBytes: number;
  /** Bytes of `bytes` that remembered ids hold, as `maxIdBytes` bounds them. */
  readonly idBytes: number;
  /** Channels that were written or have a subscriber or members. */
  readonly channels: number;
  /** Channels that were forgotten as a whole for lack of room, with their events. */
  readonly forgottenChannels: number;
  /** Events of other channels that were dropped before their time for lack of room. */
  readonly droppedEvents: number;
  /** Appends, subscribes and members that were refused for lack of room. */
  readonly refusals: number;
}

/**
 * The logs, ids, members and bans of one or more {@link MemoryBroker}s. Brokers with the same store are nodes of one
 * cluster inside one process; what the store holds outlives each of them, and ends with the process. It owns two
 * timers, and only while a broker is started on it.
 *
 * The same calls at the same times give the same results and the same {@link stats}: nothing is random but one token, reads
 * change nothing, and what ends does so at its own time, whether a timer, a read or the next append notices it.
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
  readonly transitions: MemoryTransitions;
  /** @internal */
  readonly control: MemoryControl;
  /** @internal */
  readonly dispatcher = new MemoryDispatcher();
  /** @internal */
  readonly ids: IdMemory<MemoryChannel>;
  private readonly settings: MemoryStoreSettings;
  private readonly ledger: Ledger;
  private readonly epochs: Epochs;
  private readonly order = new EvictionOrder();
  private readonly ends = new EndQueue<MemoryChannel>();
  private readonly pressure = new Pressure();
  private readonly channels = new Map<string, MemoryChannel>();
  private readonly nodes = new Set<MemoryNode>();
  private readonly sweeper: MemorySweeper;
  /** Channels with a subscriber. */
  private active = 0;
  /** Channels that were ever made. */
  private made = 0;
  /** Up to when everything has ended that had to. */
  private time = -Infinity;

  /** @throws RangeError when a bound is out of range; it names the option. */
  constructor(options: MemoryStoreOptions = {}) {
    const settings = storeSettings(options);
    const { clock, entropy, maxBytes, maxIdBytes, idShare, sweepMs } = settings;
    this.settings = settings;
    this.clock = clock;
    this.entropy = entropy;
    this.ledger = new Ledger(maxBytes);
    const token = entropy.token();
    this.epochs = new Epochs(token);
    this.ids = new IdMemory<MemoryChannel>(
      this.ledger,
      (channel) => this.settle(channel),
      maxIdBytes,
      idShare,
    );
    this.sweeper = new MemorySweeper(
      clock,
      sweepMs,
      () => this.advance(),
      () => this.channels.size === 0,
    );
    this.control = new MemoryControl(clock, this.dispatcher);
    this.transitions = new MemoryTransitions(this, this.ledger, token);
    this.presence = new MemoryPresence(this, this.ledger, new Epochs(entropy.token()));
  }

  /** Channels in memory, used or idle. */
  get size(): number {
    return this.channels.size;
  }

  /** What it holds now. What has ended is no longer counted. */
  get stats(): MemoryStoreStats {
    this.advance();
    const { channels, events, refusals } = this.pressure;
    return {
      bytes: this.ledger.bytes,
      maxBytes: this.ledger.max,
      idBytes: this.ids.bytes,
      channels: this.channels.size,
      forgottenChannels: channels,
      droppedEvents: events,
      refusals,
    };
  }

  /**
   * Forgets a channel's events and begins a new, empty log: earlier positions are `lost: epoch_changed`. Ids stay
   * remembered, so that a late retry does not append again what was just deleted. Notifies nobody: subscribers
   * notice the new epoch with the next event, or when they next read the log (G5).
   */
  clear(channel: string): void {
    this.advance();
    const found = this.channels.get(channel);
    if (found === undefined) return;
    found.log.clear(this.epochs.advance(channel));
    this.settle(found);
  }

  /**
   * Does to a log what a failover to a replica that was behind does (G6): everything after `keep` is lost, ids included, and
   * a new epoch continues from there. Positions of the old epoch up to `keep` stay valid. For tests of the code above a broker.
   */
  failOver(channel: string, keep: number): void {
    this.advance();
    const found = this.channels.get(channel);
    if (found === undefined) return;
    found.log.fork(this.epochs.advance(channel), keep);
    this.ids.forgetAfter(found.ids, keep);
    this.settle(found);
  }

  /** @internal */
  attach(node: MemoryNode): void {
    this.nodes.add(node);
    this.sweeper.start();
    this.presence.start();
    this.transitions.start();
  }

  /** @internal */
  detach(node: MemoryNode): void {
    node.closed = true;
    for (const channel of [...node.channels]) this.unsubscribe(channel.name, node);
    this.nodes.delete(node);
    this.control.forget(node);
    if (this.nodes.size > 0) return;
    this.sweeper.stop();
    this.presence.stop();
    this.transitions.stop();
  }

  /** @internal Nodes that are started, in the order in which they started. */
  get started(): readonly MemoryNode[] {
    return [...this.nodes];
  }

  /** @internal Hands a copy of the bytes to a node, if it is started. Nodes of one name would each have it. */
  send(from: MemoryNode, to: string, topic: string, bytes: Uint8Array): void {
    const copy = Uint8Array.from(bytes);
    this.dispatcher.run(() => {
      for (const { closed, id, listener } of this.nodes)
        if (id === to && !closed) listener.onMessage?.(from.id, topic, copy);
    });
  }

  /**
   * @internal Ends everything that has to have ended by now. Every command and read begins with it.
   *
   * @returns The store's time, in milliseconds.
   */
  advance(): number {
    const now = timeOf(this.clock);
    if (now <= this.time) return this.time;
    this.time = now;
    this.ids.expire(now);
    if (this.ends.next <= now) {
      for (const channel of this.ends.take(now)) this.end(channel);
    }
    // Last, as it notifies listeners, which may use the store.
    this.presence.expire(now);
    return now;
  }

  /** @internal */
  read(request: ReadRequest): ReadResult {
    this.advance();
    const { channel } = request;
    return this.channels.get(channel)?.log.read(request) ?? readUnwritten(request, this.epochs.of(channel));
  }

  /** @internal */
  positionOf(name: string): Position {
    return this.channels.get(name)?.log.position ?? { epoch: this.epochs.of(name), seq: 0 };
  }

  /** @internal Idempotent for one subscriber. */
  subscribe(name: string, subscriber: MemorySubscriber): MemoryChannel {
    const channel = this.channels.get(name) ?? this.make(name);
    if (channel.add(subscriber)) this.active += 1;
    this.weigh(channel);
    return channel;
  }

  /** @internal Idempotent. */
  unsubscribe(name: string, subscriber: MemorySubscriber): MemoryChannel | undefined {
    const now = this.advance();
    const channel = this.channels.get(name);
    if (channel?.remove(subscriber) !== true) return channel;
    this.active -= 1;
    this.used(channel, now);
    this.settle(channel);
    this.boundIdle(0);
    return channel;
  }

  /** @internal The channel, when there is one. */
  find(name: string): MemoryChannel | undefined {
    return this.channels.get(name);
  }

  /** @internal The channel, which is made when there is none. The caller has reserved its bytes. */
  open(name: string): MemoryChannel {
    const channel = this.channels.get(name);
    if (channel !== undefined) return channel;
    this.boundIdle(1);
    return this.make(name);
  }

  /**
   * @internal Makes room for what may not be dropped again: ids, members, records of channels. Drops nothing where dropping all
   * that may be dropped would not be enough.
   *
   * @param keep Is not forgotten as a whole.
   * @returns Whether there is room; a refusal is counted.
   */
  reserve(bytes: number, keep?: MemoryChannel): boolean {
    if (this.ledger.fits(bytes)) return true;
    const fits = this.canFit(bytes, keep);
    if (fits) this.makeRoom(bytes, keep);
    else this.pressure.refusals += 1;
    this.warn();
    return fits;
  }

  /** @internal To be called after each append to a channel. */
  appended(channel: MemoryChannel, now: number): void {
    this.order.appended(channel);
    this.used(channel, now);
    this.weigh(channel);
    if (channel.isLoose) this.order.released(channel);
    if (this.ledger.fits(0)) return;
    const { log } = channel;
    if (this.canFit(log.newestWeight, channel)) this.makeRoom(0, channel);
    else {
      // An event that cannot stay takes none of other channels with it, and all of its own: its log has no gap (P27).
      this.pressure.events += log.length;
      log.empty();
    }
    this.warn();
  }

  /** @internal To be called when an append was refused for lack of room for its id. */
  refused(): void {
    this.pressure.refusals += 1;
    this.warn();
  }

  /** @internal To be called when a subscriber, the ids, the members or the events of a channel have ended. */
  settle(channel: MemoryChannel): void {
    if (channel.room?.isEmpty === true && channel.subscribers.length === 0) this.presence.dropRoom(channel);
    if (this.channels.get(channel.name) !== channel) return;
    this.weigh(channel);
    if (!channel.isLoose) return;
    const { log } = channel;
    // Nothing was ever written: a position of it stays true without the record.
    if (log.position.seq === 0) this.remove(channel);
    else if (log.length === 0 && channel.headUntil <= this.time) this.forget(channel);
    else this.order.released(channel);
  }

  /** @internal To be called when a channel got or lost its first subscriber, its room, or its first id. Idempotent. */
  weigh(channel: MemoryChannel): void {
    const isLoose = channel.isCollectable;
    if (isLoose === channel.isLoose) return;
    channel.isLoose = isLoose;
    const bytes = channelBytes(channel.name);
    const { ledger } = this;
    if (isLoose) {
      ledger.credit(bytes);
      ledger.chargeLoose(bytes);
    } else {
      ledger.creditLoose(bytes);
      ledger.charge(bytes);
    }
  }

  /** Ends the events, or the head, of a channel that are due. */
  private end(channel: MemoryChannel): void {
    channel.log.trim(this.time);
    if (channel.until > this.time) this.ends.track(channel);
    else this.settle(channel);
  }

  private used(channel: MemoryChannel, now: number): void {
    channel.headUntil = now + this.settings.headMs;
    this.ends.track(channel);
  }

  private make(name: string): MemoryChannel {
    this.made += 1;
    const channel = new MemoryChannel(name, this.epochs.of(name), this.ledger, this.made);
    this.channels.set(name, channel);
    this.ledger.chargeLoose(channelBytes(name));
    this.sweeper.wake();
    return channel;
  }

  /** Forgets a channel that was written: no position of it may be taken for true again. */
  private forget(channel: MemoryChannel): void {
    this.epochs.advance(channel.name);
    this.remove(channel);
  }

  /** The channel is loose. */
  private remove(channel: MemoryChannel): void {
    channel.log.empty();
    this.channels.delete(channel.name);
    this.order.delete(channel);
    this.ends.delete(channel);
    this.ledger.creditLoose(channelBytes(channel.name));
  }

  /** Whether so many bytes more would fit if everything were dropped that may be, without the record of `keep`. */
  private canFit(bytes: number, keep: MemoryChannel | undefined): boolean {
    const own = keep?.isLoose === true ? channelBytes(keep.name) : 0;
    return this.ledger.canFit(bytes + own);
  }

  /** Drops what was appended to longest ago, until so many bytes more fit. */
  private makeRoom(bytes: number, keep: MemoryChannel | undefined): void {
    if (keep !== undefined) this.order.hold(keep);
    let channel = this.order.first;
    while (!this.ledger.fits(bytes) && channel !== undefined) {
      if (channel !== keep && channel.isLoose) {
        this.forget(channel);
        this.pressure.channels += 1;
      } else {
        channel.log.drop();
        this.pressure.events += 1;
      }
      channel = this.order.first;
    }
    if (keep?.isLoose === true) this.order.released(keep);
  }

  /** Forgets channels until so many more without a subscriber are within their bound, where any may be forgotten. */
  private boundIdle(more: number): void {
    if (this.channels.size - this.active + more <= this.settings.maxIdleChannels) return;
    let channel = this.order.firstIdle;
    while (this.channels.size - this.active + more > this.settings.maxIdleChannels && channel !== undefined) {
      this.forget(channel);
      this.pressure.channels += 1;
      channel = this.order.firstIdle;
    }
    this.warn();
  }

  private warn(): void {
    const message = this.pressure.report(this.time, this.settings);
    if (message === undefined) return;
    this.dispatcher.later(() => {
      for (const node of this.nodes) node.listener.onWarning?.(message);
    });
  }
}
