import type { ChannelEvent } from '../../core/ports/channel-event.js';
import type { ChannelListener } from '../common/listeners.js';
import { ChannelLog } from './channel-log.js';
import type { Expiring } from './deadlines.js';
import type { HeapItem } from './heap.js';
import { IdWindow } from './ids.js';
import type { Ledger } from './ledger.js';
import type { PresenceRoom } from './room.js';
import { CHANNEL_BYTES } from './weight.js';

/** Who is notified of what happens in a channel. */
export interface MemorySubscriber {
  readonly listener: ChannelListener;
}

const NOBODY: readonly MemorySubscriber[] = [];

/** The place of a channel in the order of the last append. */
export interface ChannelPlace extends HeapItem {
  readonly channel: MemoryChannel;
}

/**
 * Everything that a store holds of one channel. It exists while it was written and not forgotten, or has a subscriber or members:
 * reads make none.
 */
export class MemoryChannel implements Expiring {
  readonly log: ChannelLog;
  readonly ids: IdWindow<MemoryChannel>;
  /** Never changed in place: a queued delivery keeps the list of its own time. */
  subscribers = NOBODY;
  /** Events of the running append, for the subscribers. */
  pending: ChannelEvent[] | undefined;
  /** Exists while the channel has members, and as long as a subscriber counts its versions. */
  room: PresenceRoom | undefined;
  /** Number of its last append among all of the store; 0 when it was never written. */
  lastAppend = 0;
  /** Whether its record is charged as one that may be dropped. */
  isLoose = true;
  /** When its head ends, unless it is used until then, in the store's milliseconds. */
  headUntil = Infinity;
  /** Its place among the channels that keep events. */
  readonly keeping: ChannelPlace;
  /** Its place among the channels that may be forgotten as a whole. */
  readonly idle: ChannelPlace;
  index = -1;
  key = 0;

  /** @param order Number of the channel in its store. */
  constructor(
    readonly name: string,
    epoch: string,
    ledger: Ledger,
    readonly order: number,
  ) {
    this.log = new ChannelLog(name, epoch, ledger);
    this.ids = new IdWindow<MemoryChannel>(this);
    this.keeping = { channel: this, order, index: -1, key: 0 };
    this.idle = { channel: this, order, index: -1, key: 0 };
  }

  /** When something of it ends next: its oldest event, or its head. */
  get until(): number {
    return this.log.length > 0 ? this.log.until : this.headUntil;
  }

  /** @returns Whether this was the first subscriber. */
  add(subscriber: MemorySubscriber): boolean {
    if (this.subscribers.includes(subscriber)) return false;
    this.subscribers = [...this.subscribers, subscriber];
    return this.subscribers.length === 1;
  }

  /** @returns Whether this was the last subscriber. */
  remove(subscriber: MemorySubscriber): boolean {
    if (!this.subscribers.includes(subscriber)) return false;
    const rest = this.subscribers.filter((other) => other !== subscriber);
    this.subscribers = rest.length === 0 ? NOBODY : rest;
    return rest.length === 0;
  }

  /**
   * Whether the channel can be forgotten without breaking a promise silently. Clients notice the loss of the log by the next
   * epoch (G6); nobody would notice that an id inside its window, or a member, was forgotten.
   */
  get isCollectable(): boolean {
    return this.subscribers.length === 0 && this.ids.size === 0 && this.room === undefined;
  }
}

/** What the record of a channel weighs, without what it holds. */
export function channelBytes(name: string): number {
  return CHANNEL_BYTES + 2 * name.length;
}
