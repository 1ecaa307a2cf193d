import type { PresenceEntry } from '../../core/ports/broker.js';
import type { Clock } from '../../core/ports/clock.js';
import type { PresencePage } from '../../protocol/messages.js';
import { placeOf } from '../common/member-cursor.js';
import { channelBytes, type MemoryChannel } from './channel.js';
import { Deadlines } from './deadlines.js';
import type { MemoryDispatcher } from './dispatcher.js';
import type { Epochs } from './epochs.js';
import type { Ledger } from './ledger.js';
import { full } from './node.js';
import { PresenceRoom, type PresenceDevice } from './room.js';
import { ROOM_BYTES } from './weight.js';

/** What the presence needs of its store. */
export interface PresenceStore {
  readonly clock: Clock;
  readonly dispatcher: MemoryDispatcher;
  advance(): number;
  find(channel: string): MemoryChannel | undefined;
  open(channel: string): MemoryChannel;
  reserve(bytes: number, keep?: MemoryChannel): boolean;
  settle(channel: MemoryChannel): void;
  weigh(channel: MemoryChannel): void;
}

/** Membership of all channels of a store (G19): ends leases and graces, and notifies the subscribers. The rooms hold the members. */
export class MemoryPresence {
  private readonly deadlines: Deadlines<PresenceDevice>;
  /** Devices that ever entered: decides between those that end at one instant. */
  private devices = 0;

  /** @param epochs Of the rosters that are not stored. */
  constructor(
    private readonly store: PresenceStore,
    private readonly ledger: Ledger,
    private readonly epochs: Epochs,
  ) {
    this.deadlines = new Deadlines<PresenceDevice>(store.clock, () => store.advance());
  }

  start(): void {
    this.deadlines.start();
  }

  stop(): void {
    this.deadlines.stop();
  }

  /** @throws RealtimeError `unavailable` when there is no room for a new member. */
  enter(entry: PresenceEntry, leaseMs: number): void {
    const { store } = this;
    const now = store.advance();
    const channel = this.admit(entry);
    if (channel?.room !== undefined) {
      this.track(channel.room.enter(entry, now + leaseMs, this.nextDevice()));
      this.announce(channel);
    }
    store.dispatcher.flush();
    if (channel === undefined) throw full();
  }

  /** @throws RealtimeError `unavailable` when there is no room for larger data. */
  update(entry: PresenceEntry): void {
    const { store } = this;
    store.advance();
    const channel = store.find(entry.channel);
    if (channel?.room === undefined) return;
    const fits = store.reserve(Math.max(0, channel.room.cost(entry)), channel);
    if (fits) {
      channel.room.update(entry);
      this.announce(channel);
    }
    store.dispatcher.flush();
    if (!fits) throw full();
  }

  leave(entry: PresenceEntry, graceMs: number): void {
    const now = this.store.advance();
    const room = this.store.find(entry.channel)?.room;
    if (room === undefined) return;
    this.track(room.leave(entry, now + Math.max(0, graceMs)));
    // Without a grace it has ended already.
    this.expire(now);
  }

  /** @throws RealtimeError `unavailable` when there was no room for a device that was no longer there; the others are renewed. */
  renew(entries: readonly PresenceEntry[], leaseMs: number): void {
    const { store } = this;
    const until = store.advance() + leaseMs;
    const touched = new Set<MemoryChannel>();
    let refused = false;
    for (const entry of entries) {
      const channel = this.admit(entry);
      if (channel?.room === undefined) {
        refused = true;
        continue;
      }
      this.track(channel.room.renew(entry, until, this.nextDevice()));
      touched.add(channel);
    }
    for (const channel of touched) this.announce(channel);
    store.dispatcher.flush();
    if (refused) throw full();
  }

  members(name: string, cursor: string | undefined, limit: number): PresencePage {
    const after = placeOf(cursor);
    this.store.advance();
    const room = this.store.find(name)?.room;
    if (room !== undefined) return room.page(after, limit);
    return { epoch: this.epochs.of(name), version: 0, members: [], count: 0 };
  }

  /**
   * Ends leases and graces that have run out by `now`: one diff per channel and instant, however many members leave, and whether
   * a timer or a command noticed it.
   */
  expire(now: number): void {
    if (this.deadlines.next > now) return;
    const rooms = new Set<PresenceRoom>();
    let instant = -Infinity;
    for (const device of this.deadlines.take(now)) {
      if (device.until > instant) {
        this.announceAll(rooms);
        instant = device.until;
      }
      device.room.end(device);
      rooms.add(device.room);
    }
    this.announceAll(rooms);
    this.store.dispatcher.flush();
  }

  /** To be called when a room has no members, and its channel no subscribers. */
  dropRoom(channel: MemoryChannel): void {
    channel.room = undefined;
    this.ledger.credit(ROOM_BYTES);
    // Its versions begin again: nobody may take one of the new ones for one of the old.
    this.epochs.advance(channel.name);
  }

  /** The channel with its room, both made when there are none; `undefined` when there is no room for the entry. */
  private admit(entry: PresenceEntry): MemoryChannel | undefined {
    const { store } = this;
    const found = store.find(entry.channel);
    const cost =
      found?.room?.cost(entry) ??
      PresenceRoom.firstCost(entry) + (found === undefined ? channelBytes(entry.channel) : 0);
    if (cost > 0 && !store.reserve(cost, found)) return undefined;
    const channel = found ?? store.open(entry.channel);
    if (channel.room === undefined) {
      channel.room = new PresenceRoom(channel.name, this.epochs.of(channel.name), this.ledger);
      this.ledger.charge(ROOM_BYTES);
      store.weigh(channel);
    }
    return channel;
  }

  private nextDevice(): number {
    this.devices += 1;
    return this.devices;
  }

  private track(device: PresenceDevice | undefined): void {
    if (device !== undefined) this.deadlines.track(device);
  }

  private announceAll(rooms: Set<PresenceRoom>): void {
    for (const room of rooms) {
      const channel = this.store.find(room.channel);
      if (channel === undefined) continue;
      this.announce(channel);
      this.store.settle(channel);
    }
    rooms.clear();
  }

  private announce(channel: MemoryChannel): void {
    // Taken even without a subscriber: the version counts changes, not notifications.
    const diff = channel.room?.takeDiff();
    if (diff !== undefined && channel.subscribers.length > 0) {
      this.store.dispatcher.enqueue(channel, (listener) => listener.onPresence?.(channel.name, diff));
    }
  }
}
