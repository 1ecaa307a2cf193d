import type { PresenceEntry } from '../../core/ports/broker.js';
import type { PresencePage } from '../../protocol/messages.js';
import { channelBytes, type MachineChannel } from './channel.js';
import type { Channels } from './channels.js';
import type { Command, Done, Full, Moment } from './commands.js';
import type { Digest } from './digest.js';
import { EndQueue } from './end-queue.js';
import { DONE, FULL } from './full.js';
import { Lease } from './lease.js';
import type { Ledger } from './ledger.js';
import type { NodeLeases } from './nodes.js';
import { PresenceRoom, type PresenceDevice, type RoomState } from './room.js';
import { ROOM_BYTES } from './weight.js';

/** Membership of all channels of a machine (G19): ends leases and graces, and feeds the diffs. The rooms hold the members. */
export class Presence {
  private readonly ends = new EndQueue<PresenceDevice>();
  /** Devices that ever entered: decides between those that end at one instant. */
  private devices = 0;

  constructor(
    private readonly channels: Channels,
    private readonly nodes: NodeLeases,
    private readonly ledger: Ledger,
  ) {}

  /** When the next lease or grace may end. */
  get next(): number {
    return this.ends.next;
  }

  enter(command: Command<'enter'>, { now }: Moment): Done | Full {
    const channel = this.admit(command.entry);
    if (channel?.room === undefined) return FULL;
    const lease = Lease.of(command, this.nodes, now);
    this.track(channel.room.enter(command.entry, lease, this.nextDevice()));
    announce(channel);
    return DONE;
  }

  update({ entry }: Command<'update'>): Done | Full {
    const channel = this.channels.find(entry.channel);
    if (channel?.room === undefined) return DONE;
    if (!this.channels.reserve(Math.max(0, channel.room.cost(entry)), channel)) return FULL;
    channel.room.update(entry);
    announce(channel);
    return DONE;
  }

  leave({ entry, graceMs }: Command<'leave'>, { now }: Moment): Done {
    const room = this.channels.find(entry.channel)?.room;
    if (room === undefined) return DONE;
    this.track(room.leave(entry, now + Math.max(0, graceMs)));
    // Without a grace it has ended already.
    this.expire(now);
    return DONE;
  }

  renew(command: Command<'renew'>, { now }: Moment): Done | Full {
    const lease = Lease.of(command, this.nodes, now);
    const touched = new Set<MachineChannel>();
    let refused = false;
    for (const entry of command.entries) {
      const channel = this.admit(entry);
      if (channel?.room === undefined) {
        refused = true;
        continue;
      }
      this.track(channel.room.renew(entry, lease, this.nextDevice()));
      touched.add(channel);
    }
    for (const channel of touched) announce(channel);
    return refused ? FULL : DONE;
  }

  members(name: string, after: number, limit: number): PresencePage {
    const room = this.channels.find(name)?.room;
    if (room !== undefined) return room.page(after, limit);
    return { epoch: this.channels.rosterEpochs.of(name), version: 0, members: [], count: 0 };
  }

  /**
   * Ends leases and graces that have run out by `now`: one diff per channel and instant, however many members leave, and whether
   * a timer or a command noticed it.
   */
  expire(now: number): void {
    if (this.ends.next > now) return;
    const rooms = new Set<PresenceRoom>();
    let instant = -Infinity;
    for (const device of this.ends.take(now)) {
      if (device.until > instant) {
        this.announceAll(rooms);
        instant = device.until;
      }
      device.room.end(device);
      rooms.add(device.room);
    }
    this.announceAll(rooms);
  }

  /** To be called when the lease of a node ended before its time. */
  nodeEnded(): void {
    this.ends.trackAll();
  }

  mixInto(digest: Digest): void {
    digest.number(this.devices);
  }

  save(): PresenceState {
    const rooms: (readonly [channel: string, room: RoomState])[] = [];
    for (const { name, room } of this.channels.all())
      if (room !== undefined) rooms.push([name, room.save(this.nodes)]);
    return { devices: this.devices, rooms };
  }

  /** Into a new one, after the channels; the ledger has what it weighs already. */
  restore({ devices, rooms }: PresenceState): void {
    this.devices = devices;
    for (const [name, state] of rooms) {
      const channel = this.channels.find(name);
      if (channel === undefined) continue;
      channel.room = new PresenceRoom(name, this.channels.rosterEpochs, this.ledger);
      channel.room.restore(state, this.nodes, (device, key) => this.ends.restore(device, key));
    }
  }

  /** The channel with its room, both made when there are none; `undefined` when there is no room for the entry. */
  private admit(entry: PresenceEntry): MachineChannel | undefined {
    const { channels } = this;
    const found = channels.find(entry.channel);
    const cost =
      found?.room?.cost(entry) ??
      PresenceRoom.firstCost(entry) + (found === undefined ? channelBytes(entry.channel) : 0);
    if (cost > 0 && !channels.reserve(cost, found)) return undefined;
    const channel = found ?? channels.open(entry.channel);
    if (channel.room === undefined) {
      channel.room = new PresenceRoom(channel.name, channels.rosterEpochs, this.ledger);
      this.ledger.charge(ROOM_BYTES);
      channels.weigh(channel);
    }
    return channel;
  }

  private nextDevice(): number {
    this.devices += 1;
    return this.devices;
  }

  private track(device: PresenceDevice | undefined): void {
    if (device !== undefined) this.ends.track(device);
  }

  private announceAll(rooms: Set<PresenceRoom>): void {
    for (const room of rooms) {
      const channel = this.channels.find(room.channel);
      if (channel === undefined) continue;
      announce(channel);
      this.channels.settle(channel);
    }
    rooms.clear();
  }
}

/** {@link Presence} in a checkpoint. */
export interface PresenceState {
  readonly devices: number;
  readonly rooms: readonly (readonly [channel: string, room: RoomState])[];
}

function announce({ room, feed }: MachineChannel): void {
  // Taken even where nobody follows: the version counts changes, not notifications.
  const diff = room?.takeDiff();
  if (diff !== undefined) feed?.onPresence(diff);
}
