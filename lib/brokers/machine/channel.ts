import { ChannelLog } from './channel-log.js';
import type { Expiring } from './end-queue.js';
import type { Epochs } from './epochs.js';
import type { ChannelFeed } from './feed.js';
import type { HeapItem } from './heap.js';
import { IdWindow } from './ids.js';
import type { Ledger } from './ledger.js';
import type { PresenceRoom } from './room.js';
import { CHANNEL_BYTES } from './weight.js';

/** The place of a channel in the order of the last append. */
export interface ChannelPlace extends HeapItem {
  readonly channel: MachineChannel;
}

/**
 * Everything that a machine holds of one channel. It exists while it was written and not forgotten, or is pinned or has members:
 * reads make none.
 */
export class MachineChannel implements Expiring {
  readonly log: ChannelLog;
  readonly ids: IdWindow<MachineChannel>;
  /** How often it is pinned and not unpinned. */
  pins = 0;
  /** Exists while the channel has members, and as long as it is pinned. */
  room: PresenceRoom | undefined;
  /** Number of its last append among all of the machine; 0 when it was never written. */
  lastAppend = 0;
  /** Whether its record is charged as one that may be dropped. */
  isLoose = true;
  /** When its head ends, unless it is used until then, in machine time. */
  headUntil = Infinity;
  /** Its place among the channels that keep events. */
  readonly keeping: ChannelPlace;
  /** Its place among the channels that may be forgotten as a whole. */
  readonly idle: ChannelPlace;
  index = -1;
  key = 0;

  /** @param order Number of the channel in its machine. */
  constructor(
    readonly name: string,
    epochs: Epochs,
    ledger: Ledger,
    readonly order: number,
    /** Where this process hears of it, if it does. */
    public feed: ChannelFeed | undefined,
  ) {
    this.log = new ChannelLog(name, epochs.baseOf(name), epochs.term, ledger);
    this.ids = new IdWindow<MachineChannel>(this);
    this.keeping = { channel: this, order, index: -1, key: 0 };
    this.idle = { channel: this, order, index: -1, key: 0 };
  }

  /** When something of it ends next: its oldest event, or its head. */
  get until(): number {
    return this.log.length > 0 ? this.log.until : this.headUntil;
  }

  /**
   * Whether the channel can be forgotten without breaking a promise silently. Clients notice the loss of the log by the next
   * epoch (G6); nobody would notice that an id inside its window, or a member, was forgotten.
   */
  get isCollectable(): boolean {
    return this.pins === 0 && this.ids.size === 0 && this.room === undefined;
  }
}

/** What the record of a channel weighs, without what it holds. */
export function channelBytes(name: string): number {
  return CHANNEL_BYTES + 2 * name.length;
}
