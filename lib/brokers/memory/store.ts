import type { ReadRequest, ReadResult, SignalMessage } from '../../core/ports/broker.js';
import type { Clock } from '../../core/ports/clock.js';
import type { ControlMessage, ControlReceipt } from '../../core/ports/control.js';
import type { Entropy } from '../../core/ports/entropy.js';
import type { Command, Moment, Outcome, OutcomeMap, StateCommandKind } from '../machine/commands.js';
import { Machine } from '../machine/machine.js';
import { RunningMoment } from '../machine/moment.js';
import { MemoryControl } from './control.js';
import { MemoryDispatcher } from './dispatcher.js';
import { DueTimer, timeOf } from './due-timer.js';
import { MemoryFeed, type MemorySubscriber } from './feed.js';
import { full, type MemoryNode } from './node.js';
import { storeSettings, type MemoryStoreOptions, type MemoryStoreSettings } from './options.js';
import { Pressure } from './pressure.js';
import { MemorySweeper } from './sweeper.js';

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
 * The state is that of a {@link Machine}; the store gives it the time, and delivers what it does. So the same calls at the same times
 * give the same results and the same {@link stats}: nothing is random but one token, reads change nothing, and what ends does so at its
 * own time, whether a timer, a read or the next append notices it.
 *
 * @example
 * const store = new MemoryStore();
 * const [left, right] = [memoryBroker({ store }), memoryBroker({ store })];
 */
export class MemoryStore {
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** @internal Reads go to it directly, after {@link advance}; what changes it goes through {@link apply}. */
  readonly machine: Machine;
  private readonly settings: MemoryStoreSettings;
  private readonly dispatcher = new MemoryDispatcher();
  private readonly control: MemoryControl;
  private readonly pressure: Pressure;
  /** Channels with a subscriber. */
  private readonly feeds = new Map<string, MemoryFeed>();
  private readonly nodes = new Set<MemoryNode>();
  private readonly due: DueTimer;
  private readonly sweeper: MemorySweeper;
  private readonly moment = new RunningMoment();

  /** @throws RangeError when a bound is out of range; it names the option. */
  constructor(options: MemoryStoreOptions = {}) {
    const settings = storeSettings(options);
    const { clock, entropy, sweepMs } = settings;
    this.settings = settings;
    this.clock = clock;
    this.entropy = entropy;
    const { maxBytes, maxIdBytes, idShare, maxIdleChannels, headMs } = settings;
    const bounds = { maxBytes, maxIdBytes, idShare, maxIdleChannels, headMs };
    const machine = new Machine({ ...bounds, restrictionsEndBy: 'now' }, entropy.token());
    this.machine = machine;
    this.pressure = new Pressure(machine.losses);
    this.control = new MemoryControl(clock, this.dispatcher);
    this.due = new DueTimer(
      clock,
      () => machine.nextEnd,
      () => this.advance(),
    );
    this.sweeper = new MemorySweeper(
      clock,
      sweepMs,
      () => this.advance(),
      () => machine.size === 0,
    );
  }

  /** Channels in memory, used or idle. */
  get size(): number {
    return this.machine.size;
  }

  /** What it holds now. What has ended is no longer counted. */
  get stats(): MemoryStoreStats {
    this.advance();
    const { machine, settings } = this;
    const { channels, events, refusals } = machine.losses;
    return {
      bytes: machine.bytes,
      maxBytes: settings.maxBytes,
      idBytes: machine.idBytes,
      channels: machine.size,
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
    this.apply({ kind: 'clear', channel });
  }

  /**
   * Does to a log what a failover to a replica that was behind does (G6): everything after `keep` is lost, ids included, and
   * a new epoch continues from there. Positions of the old epoch up to `keep` stay valid. For tests of the code above a broker.
   */
  failOver(channel: string, keep: number): void {
    this.apply({ kind: 'cut', channel, keep });
  }

  /** @internal */
  async attach(node: MemoryNode): Promise<void> {
    this.nodes.add(node);
    this.sweeper.start();
    this.due.start();
    node.listener.onState('up');
    this.advance();
    const kept = this.machine.restrictionsInForce(this.machine.time);
    await Promise.all(kept.map(async (record) => node.listener.onControl(record)));
  }

  /** @internal */
  detach(node: MemoryNode): void {
    node.closed = true;
    for (const channel of [...node.channels]) this.unsubscribe(channel, node);
    this.nodes.delete(node);
    this.apply({ kind: 'goodbye', node: node.id });
    this.control.forget(node);
    if (this.nodes.size > 0) return;
    this.sweeper.stop();
    this.due.stop();
  }

  /** @internal Nodes that are started, in the order in which they started. */
  get started(): readonly MemoryNode[] {
    return [...this.nodes];
  }

  /**
   * @internal Applies a command now, and delivers what it did.
   *
   * @throws what the machine skipped: a bug must be seen.
   */
  apply<K extends StateCommandKind>(command: Command<K>): OutcomeMap[K] {
    const outcome = this.machine.apply(command, this.present());
    this.settle();
    return unskipped<K>(outcome);
  }

  /** @internal Ends everything that has to have ended by now. Every read begins with it. */
  advance(): void {
    this.machine.advance(this.present());
    this.settle();
  }

  /** @internal */
  read(request: ReadRequest): ReadResult {
    this.advance();
    return this.machine.read(request);
  }

  /**
   * @internal Idempotent for one subscriber.
   *
   * @param isOwn Whether the channel is one of the library: then it has room where there is none.
   * @throws RealtimeError `unavailable` when there is no room for a new channel.
   */
  subscribe(channel: string, subscriber: MemorySubscriber, isOwn = false): void {
    const found = this.feeds.get(channel);
    // Another subscriber of a channel that is pinned lets only the time pass.
    const outcome = this.machine.apply(
      found === undefined ? { kind: 'pin', channel, always: isOwn } : { kind: 'tick' },
      this.present(),
    );
    if (outcome.ok) {
      const feed = found ?? new MemoryFeed(channel, this.dispatcher);
      feed.add(subscriber);
      this.feeds.set(channel, feed);
      this.machine.follow(channel, feed);
    }
    // Only now, as listeners that it calls may subscribe too.
    this.settle();
    if (!unskipped<'pin'>(outcome).ok) throw full();
  }

  /** @internal Idempotent. */
  unsubscribe(channel: string, subscriber: MemorySubscriber): void {
    this.advance();
    const feed = this.feeds.get(channel);
    if (feed?.remove(subscriber) !== true) return;
    this.feeds.delete(channel);
    this.machine.follow(channel, undefined);
    this.apply({ kind: 'unpin', channel });
  }

  /** @internal */
  signal(channel: string, signal: SignalMessage): void {
    const feed = this.feeds.get(channel);
    if (feed === undefined) return;
    this.dispatcher.enqueue(feed, (listener) => listener.onSignal?.(channel, signal));
    this.dispatcher.flush();
  }

  /** @internal Keeps a record, hands it to every node, and answers which of them applied it. */
  sendControl(message: ControlMessage, sender: MemoryNode, timeoutMs: number): Promise<ControlReceipt> {
    this.apply({ kind: 'control', message });
    return this.control.send(message, sender, this.started, timeoutMs);
  }

  /** @internal Hands a copy of the bytes to a node, if it is started. Nodes of one name would each have it. */
  send(from: MemoryNode, to: string, topic: string, bytes: Uint8Array): void {
    const copy = Uint8Array.from(bytes);
    this.dispatcher.run(() => {
      for (const { closed, id, listener } of this.nodes)
        if (id === to && !closed) listener.onMessage?.(from.id, topic, copy);
    });
  }

  /** The moment of a command that is applied now. */
  private present(): Moment {
    const { clock } = this;
    const ts = clock.now();
    const time = timeOf(clock);
    return this.moment.set(time, ts, time);
  }

  /** Delivers what the last command did, and sets the timers to what it left. */
  private settle(): void {
    if (this.pressure.isNew) this.warn();
    this.due.arm();
    this.sweeper.wake();
    this.dispatcher.deliver();
  }

  private warn(): void {
    const message = this.pressure.report(this.machine.time, this.settings);
    if (message === undefined) return;
    this.dispatcher.later(() => {
      for (const node of this.nodes) node.listener.onWarning?.(message);
    });
  }
}

/** @throws what the machine skipped. */
function unskipped<K extends StateCommandKind>(outcome: Outcome<K>): OutcomeMap[K] {
  if ('code' in outcome && outcome.code === 'skipped') throw outcome.error;
  return outcome as OutcomeMap[K];
}
