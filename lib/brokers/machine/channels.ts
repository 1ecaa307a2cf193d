import type { ReadRequest, ReadResult } from '../../core/ports/broker.js';
import type { Position } from '../../protocol/position.js';
import { channelBytes, MachineChannel } from './channel.js';
import { readUnwritten, type ChannelLogState } from './channel-log.js';
import type { Digest } from './digest.js';
import { EndQueue, queuedBy } from './end-queue.js';
import { Epochs, type EpochsState } from './epochs.js';
import { EvictionOrder } from './eviction-order.js';
import type { ChannelFeed } from './feed.js';
import type { Ledger } from './ledger.js';
import type { Losses } from './losses.js';
import type { MachineSettings } from './settings.js';
import { ROOM_BYTES } from './weight.js';

/** The channels of a machine: makes, weighs, expires and forgets them. */
export class Channels {
  /** Of the logs that are not stored. */
  readonly epochs: Epochs;
  /** Of the rosters that are not stored. */
  readonly rosterEpochs: Epochs;
  private readonly order = new EvictionOrder();
  private readonly ends = new EndQueue<MachineChannel>();
  private readonly channels = new Map<string, MachineChannel>();
  private readonly feeds = new Map<string, ChannelFeed>();
  /** Channels that are pinned. */
  private pinned = 0;
  /** Channels that were ever made. */
  private made = 0;
  /** Machine time up to which what is due has ended. */
  private now = -Infinity;

  constructor(
    private readonly settings: MachineSettings,
    private readonly ledger: Ledger,
    private readonly losses: Losses,
    token: string,
  ) {
    this.epochs = new Epochs(token);
    this.rosterEpochs = new Epochs(token);
  }

  /** Channels in memory, used or idle. */
  get size(): number {
    return this.channels.size;
  }

  /** The channel, when there is one. */
  find(name: string): MachineChannel | undefined {
    const channel = this.channels.get(name);
    if (channel !== undefined) {
      channel.log.enterTerms(this.epochs);
      channel.room?.enterTerm(this.rosterEpochs);
    }
    return channel;
  }

  /** The channel, which is made when there is none. The caller has reserved its bytes. */
  open(name: string): MachineChannel {
    const channel = this.find(name);
    if (channel !== undefined) return channel;
    this.boundIdle(1);
    return this.make(name);
  }

  read(request: ReadRequest): ReadResult {
    return this.find(request.channel)?.log.read(request) ?? readUnwritten(request, this.epochs);
  }

  positionOf(name: string): Position {
    return this.find(name)?.log.position ?? { epoch: this.epochs.of(name), seq: 0 };
  }

  /** Hands what happens in a channel to `feed`, or to none. No part of the state. */
  follow(name: string, feed: ChannelFeed | undefined): void {
    if (feed === undefined) this.feeds.delete(name);
    else this.feeds.set(name, feed);
    const channel = this.channels.get(name);
    if (channel !== undefined) channel.feed = feed;
  }

  /** @returns Whether there was room for its record, or it is to be pinned `always`. */
  pin(name: string, always: boolean): boolean {
    const found = this.find(name);
    if (found === undefined && !always && !this.reserve(channelBytes(name))) return false;
    const channel = found ?? this.make(name);
    channel.pins += 1;
    if (channel.pins === 1) this.pinned += 1;
    this.weigh(channel);
    return true;
  }

  unpin(name: string): void {
    const channel = this.find(name);
    if (channel === undefined || channel.pins === 0) return;
    channel.pins -= 1;
    if (channel.pins > 0) return;
    this.pinned -= 1;
    this.used(channel);
    this.settle(channel);
    this.boundIdle(0);
  }

  /** Forgets the events of a channel, and begins an epoch at 0. */
  clear(name: string): void {
    const channel = this.find(name);
    if (channel === undefined) return;
    channel.log.clear(this.epochs.advance(name));
    this.settle(channel);
  }

  /** Loses what a channel has after `keep`, and begins an epoch that continues from there. */
  cut(name: string, keep: number): MachineChannel | undefined {
    const channel = this.find(name);
    channel?.log.cut(this.epochs.advance(name), keep);
    return channel;
  }

  /** Begins a term before which nothing was lost: each log enters it when it is used next. */
  begin(term: number): void {
    this.epochs.begin(term);
    this.rosterEpochs.begin(term);
  }

  /** Begins a term before which the log lost its end. @param since Machine time from which on nothing of it is sure. */
  lose(term: number, since: number): void {
    // What is sure is known only now: what is kept of a log later may be less.
    for (const channel of this.channels.values()) channel.log.enterTerms(this.epochs);
    this.begin(term);
    for (const channel of this.channels.values()) channel.log.lose(term, since);
  }

  /**
   * Makes room for what may not be dropped again: ids, members, records of channels. Drops nothing where dropping all
   * that may be dropped would not be enough.
   *
   * @param keep Is not forgotten as a whole.
   * @returns Whether there is room; a refusal is counted.
   */
  reserve(bytes: number, keep?: MachineChannel): boolean {
    if (this.ledger.fits(bytes)) return true;
    const fits = this.canFit(bytes, keep);
    if (fits) this.makeRoom(bytes, keep);
    else this.losses.refusals += 1;
    return fits;
  }

  /** To be called after each append to a channel. */
  appended(channel: MachineChannel): void {
    this.order.appended(channel);
    this.used(channel);
    this.weigh(channel);
    if (channel.isLoose) this.order.released(channel);
    if (this.ledger.fits(0)) return;
    const { log } = channel;
    if (this.canFit(log.newestWeight, channel)) this.makeRoom(0, channel);
    else {
      // An event that cannot stay takes none of other channels with it, and all of its own: its log has no gap (P27).
      this.losses.events += log.length;
      log.empty();
    }
  }

  /** To be called when the pins, the ids, the members or the events of a channel have ended. */
  settle(channel: MachineChannel): void {
    if (channel.room?.isEmpty === true && channel.pins === 0) this.dropRoom(channel);
    if (this.channels.get(channel.name) !== channel) return;
    this.weigh(channel);
    if (!channel.isLoose) return;
    const { log } = channel;
    // Nothing was ever written: a position of it stays true without the record.
    if (log.position.seq === 0) this.remove(channel);
    else if (log.length === 0 && channel.headUntil <= this.now) this.forget(channel);
    else this.order.released(channel);
  }

  /** To be called when a channel got or lost its first pin, its room, or its first id. Idempotent. */
  weigh(channel: MachineChannel): void {
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

  /** To be called when time has passed, before anything ends by it. */
  advance(now: number): void {
    this.now = now;
  }

  /** Ends the events and heads that are due. */
  expire(): void {
    const { now } = this;
    if (this.ends.next > now) return;
    for (const channel of this.ends.take(now)) {
      channel.log.trim(now);
      if (channel.until > now) this.ends.track(channel);
      else this.settle(channel);
    }
  }

  mixInto(digest: Digest): void {
    for (const count of [this.made, this.order.count, this.pinned]) digest.number(count);
  }

  all(): Iterable<MachineChannel> {
    return this.channels.values();
  }

  /** What was read in between must not show: all that is saved has entered the present term. */
  save(): ChannelsState {
    for (const name of this.channels.keys()) this.find(name);
    const channels = [...this.channels.values()].map((channel): ChannelState => {
      const { name, order, pins, lastAppend, headUntil } = channel;
      const head = headUntil === Infinity ? null : headUntil;
      return [name, order, pins, lastAppend, head, queuedBy(channel), channel.log.save()];
    });
    return {
      counts: [this.made, this.order.count],
      epochs: this.epochs.save(),
      rosterEpochs: this.rosterEpochs.save(),
      channels,
    };
  }

  /** Into a new one; {@link restored} is to be called when the ids and the members are there, too. */
  restore({ counts: [made], epochs, rosterEpochs, channels }: ChannelsState, now: number): void {
    this.now = now;
    this.made = made;
    this.epochs.restore(epochs);
    this.rosterEpochs.restore(rosterEpochs);
    for (const [name, order, pins, lastAppend, head, key, log] of channels) {
      const channel = new MachineChannel(name, this.epochs, this.ledger, order, this.feeds.get(name));
      channel.pins = pins;
      channel.lastAppend = lastAppend;
      channel.headUntil = head ?? Infinity;
      channel.log.restore(log);
      this.channels.set(name, channel);
      this.ends.restore(channel, key);
      if (pins > 0) this.pinned += 1;
    }
  }

  restored({ counts: [, appends] }: ChannelsState): void {
    for (const channel of this.channels.values()) channel.isLoose = channel.isCollectable;
    this.order.restore(this.channels.values(), appends);
  }

  private used(channel: MachineChannel): void {
    channel.headUntil = this.now + this.settings.headMs;
    this.ends.track(channel);
  }

  private make(name: string): MachineChannel {
    this.made += 1;
    const channel = new MachineChannel(name, this.epochs, this.ledger, this.made, this.feeds.get(name));
    this.channels.set(name, channel);
    this.ledger.chargeLoose(channelBytes(name));
    return channel;
  }

  private dropRoom(channel: MachineChannel): void {
    channel.room = undefined;
    this.ledger.credit(ROOM_BYTES);
    // Its versions begin again: nobody may take one of the new ones for one of the old.
    this.rosterEpochs.advance(channel.name);
  }

  /** Forgets a channel that was written: no position of it may be taken for true again. */
  private forget(channel: MachineChannel): void {
    this.epochs.advance(channel.name);
    this.remove(channel);
  }

  /** The channel is loose. */
  private remove(channel: MachineChannel): void {
    channel.log.empty();
    this.channels.delete(channel.name);
    this.order.delete(channel);
    this.ends.delete(channel);
    this.ledger.creditLoose(channelBytes(channel.name));
  }

  /** Whether so many bytes more would fit if everything were dropped that may be, without the record of `keep`. */
  private canFit(bytes: number, keep: MachineChannel | undefined): boolean {
    const own = keep?.isLoose === true ? channelBytes(keep.name) : 0;
    return this.ledger.canFit(bytes + own);
  }

  /** Drops what was appended to longest ago, until so many bytes more fit. */
  private makeRoom(bytes: number, keep: MachineChannel | undefined): void {
    if (keep !== undefined) this.order.hold(keep);
    let channel = this.order.first;
    while (!this.ledger.fits(bytes) && channel !== undefined) {
      if (channel !== keep && channel.isLoose) {
        this.forget(channel);
        this.losses.channels += 1;
      } else {
        channel.log.drop();
        this.losses.events += 1;
      }
      channel = this.order.first;
    }
    if (keep?.isLoose === true) this.order.released(keep);
  }

  /** Forgets channels until so many more that are not pinned are within their bound, where any may be forgotten. */
  private boundIdle(more: number): void {
    const most = this.settings.maxIdleChannels + this.pinned - more;
    let channel = this.channels.size > most ? this.order.firstIdle : undefined;
    while (this.channels.size > most && channel !== undefined) {
      this.forget(channel);
      this.losses.channels += 1;
      channel = this.order.firstIdle;
    }
  }
}

type ChannelState = readonly [
  name: string,
  order: number,
  pins: number,
  lastAppend: number,
  headUntil: number | null,
  key: number | null,
  log: ChannelLogState,
];

/** {@link Channels} in a checkpoint. */
export interface ChannelsState {
  readonly counts: readonly [made: number, appends: number];
  readonly epochs: EpochsState;
  readonly rosterEpochs: EpochsState;
  readonly channels: readonly ChannelState[];
}
