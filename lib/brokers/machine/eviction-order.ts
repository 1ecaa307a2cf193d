import type { ChannelPlace, MachineChannel } from './channel.js';
import { MinHeap } from './heap.js';

/**
 * Which channel loses something first: the one whose last append is the oldest. Known exactly and at any time, so that the same
 * commands always forget the same channels. An append only notes its number: the heaps are put right when they are asked, which
 * costs no more than keeping them right, and nothing where nothing has to be dropped.
 */
export class EvictionOrder {
  /** Channels that keep events; and some that no longer do. */
  private readonly keeping = new MinHeap<ChannelPlace>();
  /** Channels that may be forgotten as a whole; and some that no longer may. */
  private readonly idle = new MinHeap<ChannelPlace>();
  private appends = 0;

  /** Appends that were ever made. */
  get count(): number {
    return this.appends;
  }

  /** Into a new one, all channels of a checkpoint, once what they hold is restored. */
  restore(channels: Iterable<MachineChannel>, appends: number): void {
    this.appends = appends;
    for (const channel of channels) {
      if (channel.log.length > 0) this.keeping.put(channel.keeping, channel.lastAppend);
      if (channel.isLoose) this.released(channel);
    }
  }

  /** To be called at each append, after it. */
  appended(channel: MachineChannel): void {
    this.appends += 1;
    channel.lastAppend = this.appends;
    const { keeping } = channel;
    if (keeping.index < 0 && channel.log.length > 0) this.keeping.put(keeping, this.appends);
  }

  /** To be called when a channel may be forgotten as a whole. Idempotent. */
  released(channel: MachineChannel): void {
    if (channel.idle.index < 0) this.idle.put(channel.idle, channel.lastAppend);
  }

  /** Keeps a channel from being forgotten as a whole, until it is `released`. */
  hold(channel: MachineChannel): void {
    this.idle.delete(channel.idle);
  }

  /** To be called when a channel is forgotten. */
  delete(channel: MachineChannel): void {
    this.keeping.delete(channel.keeping);
    this.idle.delete(channel.idle);
  }

  /** The channel whose last append is the oldest among those that may be forgotten as a whole. */
  get firstIdle(): MachineChannel | undefined {
    return firstOf(this.idle, (channel) => channel.isCollectable);
  }

  /** The channel that gives something next: all of it where it may be forgotten, otherwise its oldest event. */
  get first(): MachineChannel | undefined {
    const { firstIdle } = this;
    const keeping = firstOf(this.keeping, (channel) => channel.log.length > 0);
    if (firstIdle === undefined || keeping === undefined) return firstIdle ?? keeping;
    return firstIdle.lastAppend < keeping.lastAppend ? firstIdle : keeping;
  }
}

function firstOf(
  heap: MinHeap<ChannelPlace>,
  belongs: (channel: MachineChannel) => boolean,
): MachineChannel | undefined {
  for (let place = heap.first; place !== undefined; place = heap.first) {
    const { channel } = place;
    if (!belongs(channel)) heap.delete(place);
    else if (place.key !== channel.lastAppend) heap.put(place, channel.lastAppend);
    else return channel;
  }
  return undefined;
}
