import type { PresenceEntry } from '../../core/ports/broker.js';
import type { Clock } from '../../core/ports/clock.js';
import type { Entropy } from '../../core/ports/entropy.js';
import type { PresencePage } from '../../protocol/messages.js';
import type { MemoryChannel } from './channel.js';
import { Deadlines } from './deadlines.js';
import type { MemoryDispatcher } from './dispatcher.js';
import { PresenceRoom, type PresenceDevice } from './room.js';

/** Membership of all channels of a store (G19): ends leases and graces, and notifies the subscribers. The rooms hold the members. */
export class MemoryPresence {
  readonly deadlines: Deadlines<PresenceDevice>;

  /**
   * @param open Returns the channel, and makes it when there is none.
   * @param find Returns the channel when there is one.
   */
  constructor(
    private readonly open: (channel: string) => MemoryChannel,
    private readonly find: (channel: string) => MemoryChannel | undefined,
    private readonly clock: Clock,
    private readonly entropy: Entropy,
    private readonly dispatcher: MemoryDispatcher,
  ) {
    this.deadlines = new Deadlines(clock, () => this.expire());
  }

  enter(entry: PresenceEntry, leaseMs: number): void {
    this.expire();
    const channel = this.open(entry.channel);
    this.track(this.roomOf(channel).enter(entry, this.clock.now() + leaseMs));
    this.announce(channel);
    this.dispatcher.flush();
  }

  update(entry: PresenceEntry): void {
    this.expire();
    const channel = this.find(entry.channel);
    if (channel?.room === undefined) return;
    channel.room.update(entry);
    this.announce(channel);
    this.dispatcher.flush();
  }

  leave(entry: PresenceEntry, graceMs: number): void {
    this.expire();
    const room = this.find(entry.channel)?.room;
    if (room === undefined) return;
    this.track(room.leave(entry, this.clock.now() + Math.max(0, graceMs)));
    // Without a grace it has ended already.
    this.expire();
  }

  renew(entries: readonly PresenceEntry[], leaseMs: number): void {
    this.expire();
    const until = this.clock.now() + leaseMs;
    const touched = new Set<MemoryChannel>();
    for (const entry of entries) {
      const channel = this.open(entry.channel);
      this.track(this.roomOf(channel).renew(entry, until));
      touched.add(channel);
    }
    for (const channel of touched) this.announce(channel);
    this.dispatcher.flush();
  }

  members(channel: string, cursor: string | undefined, limit: number): PresencePage {
    this.expire();
    return this.roomOf(this.open(channel)).page(cursor, limit);
  }

  /** Ends leases and graces that have run out: one diff per channel, however many members leave. */
  private expire(): void {
    const due = this.deadlines.take(this.clock.now());
    if (due.length === 0) return;
    const rooms = new Set<PresenceRoom>();
    for (const device of due) {
      device.room.end(device);
      rooms.add(device.room);
    }
    for (const room of rooms) {
      const channel = this.find(room.channel);
      if (channel !== undefined) this.announce(channel);
    }
    this.dispatcher.flush();
  }

  private track(device: PresenceDevice | undefined): void {
    if (device !== undefined) this.deadlines.track(device);
  }

  private roomOf(channel: MemoryChannel): PresenceRoom {
    channel.room ??= new PresenceRoom(channel.name, this.entropy.token());
    return channel.room;
  }

  private announce(channel: MemoryChannel): void {
    // Taken even without a subscriber: the version counts changes, not notifications.
    const diff = channel.room?.takeDiff();
    if (diff !== undefined && channel.subscribers.length > 0) {
      this.dispatcher.enqueue(channel, (listener) => listener.onPresence?.(channel.name, diff));
    }
  }
}
