import type { PresenceEntry } from '../../core/ports/broker.js';
import type { PresenceDiff, PresenceMember, PresencePage } from '../../protocol/messages.js';
import { queuedBy, type Expiring } from './end-queue.js';
import type { Epochs } from './epochs.js';
import { Lease, type LeaseState } from './lease.js';
import type { Ledger } from './ledger.js';
import type { NodeLeases } from './nodes.js';
import { Roster, type RosterItem } from './roster.js';
import { weightOf } from '../../core/ports/value-weight.js';
import { DEVICE_BYTES, MEMBER_BYTES, ROOM_BYTES } from './weight.js';

/** Deeper data counts as changed: hostile nesting must not overflow the stack, and a needless diff does no harm. */
const MAX_DEPTH = 64;

interface Member extends RosterItem {
  data: unknown;
  dataBytes: number;
  readonly devices: Map<string, PresenceDevice>;
}

/** One device of a member. */
export class PresenceDevice implements Expiring {
  index = -1;
  key = 0;
  /** Whether it left and its grace runs; it counts as present until the grace ends. */
  leaving = false;
  /** Whether it has ended. */
  ended = false;

  /** @param order Number of the device in its machine. */
  constructor(
    readonly room: PresenceRoom,
    readonly member: Member,
    readonly name: string,
    readonly order: number,
    public generation: number,
    public lease: Lease,
  ) {}

  get until(): number {
    return this.ended ? Infinity : this.lease.until;
  }
}

/**
 * Members of one channel (G19). Changes are collected until `takeDiff`, so that what happens at once is one diff. A change that
 * no other member can see makes no diff.
 */
export class PresenceRoom {
  private version = 0;
  private epoch: string;
  private term: number;
  private readonly members = new Roster<Member>();
  private readonly joined = new Set<Member>();
  private readonly updated = new Set<Member>();
  private readonly left: string[] = [];

  constructor(
    readonly channel: string,
    epochs: Epochs,
    private readonly ledger: Ledger,
  ) {
    this.epoch = epochs.of(channel);
    this.term = epochs.term;
  }

  /** What the first member of a channel weighs, with its room. */
  static firstCost(entry: PresenceEntry): number {
    return ROOM_BYTES + memberBytes(entry.member) + deviceBytes(entry.device) + weightOf(entry.data);
  }

  /** Begins the epoch of the present term: a version of the one before may be of a part that the log lost. */
  enterTerm(epochs: Epochs): void {
    if (epochs.term === this.term) return;
    this.term = epochs.term;
    this.epoch = epochs.of(this.channel);
  }

  get isEmpty(): boolean {
    return this.members.size === 0;
  }

  /** What an entry weighs more than what is there; less than nothing where its data is smaller. */
  cost(entry: PresenceEntry): number {
    const member = this.members.get(entry.member);
    if (member === undefined) return PresenceRoom.firstCost(entry) - ROOM_BYTES;
    const device = member.devices.has(entry.device) ? 0 : deviceBytes(entry.device);
    return device + (entry.data === undefined ? 0 : weightOf(entry.data) - member.dataBytes);
  }

  /** The device; `'fenced'` when the entry has an older generation than it (P28). */
  private find(entry: PresenceEntry): PresenceDevice | 'fenced' | undefined {
    const device = this.members.get(entry.member)?.devices.get(entry.device);
    return device !== undefined && entry.generation < device.generation ? 'fenced' : device;
  }

  /**
   * @param order Number of the device, should it be new.
   * @returns The device whose end moved, or `undefined` when the entry is fenced.
   */
  enter(entry: PresenceEntry, lease: Lease, order: number): PresenceDevice | undefined {
    const found = this.find(entry);
    if (found === 'fenced') return undefined;
    const device = found ?? this.admit(entry, lease, order);
    device.generation = entry.generation;
    device.leaving = false;
    device.lease = lease;
    if (entry.data !== undefined) this.setData(device.member, entry.data);
    return device;
  }

  /** Like `enter` for an absent device; one that is leaving stays leaving. */
  renew(entry: PresenceEntry, lease: Lease, order: number): PresenceDevice | undefined {
    const found = this.find(entry);
    if (found === 'fenced') return undefined;
    if (found === undefined || entry.generation > found.generation) return this.enter(entry, lease, order);
    if (found.leaving) return undefined;
    found.lease = lease;
    return found;
  }

  update(entry: PresenceEntry): void {
    const found = this.find(entry);
    if (found === undefined || found === 'fenced') return;
    found.generation = entry.generation;
    this.setData(found.member, entry.data);
  }

  /** @returns The device whose end moved. */
  leave(entry: PresenceEntry, until: number): PresenceDevice | undefined {
    const found = this.find(entry);
    if (found === undefined || found === 'fenced') return undefined;
    // A second leave may bring the end forward (`bye` after a lost connection), never put it off.
    found.lease = Lease.until(found.leaving ? Math.min(found.until, until) : until);
    found.leaving = true;
    return found;
  }

  /** Ends a device now. */
  end(device: PresenceDevice): void {
    const { member } = device;
    device.ended = true;
    if (!member.devices.delete(device.name)) return;
    this.ledger.credit(deviceBytes(device.name));
    if (member.devices.size > 0) {
      this.updated.add(member);
      return;
    }
    this.members.delete(member);
    this.ledger.credit(memberBytes(member.id) + member.dataBytes);
    this.updated.delete(member);
    // Joined and left within one diff: nobody has seen it.
    if (!this.joined.delete(member)) this.left.push(member.id);
  }

  /** What changed since the last call, as the next version. */
  takeDiff(): PresenceDiff | undefined {
    for (const member of this.joined) this.updated.delete(member);
    if (this.joined.size + this.updated.size + this.left.length === 0) return undefined;
    const previous = this.version;
    this.version += 1;
    const diff: PresenceDiff = {
      epoch: this.epoch,
      version: this.version,
      previous,
      join: [...this.joined].map(view),
      update: [...this.updated].map(view),
      leave: this.left.splice(0),
      count: this.members.size,
    };
    this.joined.clear();
    this.updated.clear();
    return diff;
  }

  page(after: number, limit: number): PresencePage {
    const { items, more } = this.members.page(after, limit);
    return {
      epoch: this.epoch,
      version: this.version,
      members: items.map(view),
      count: this.members.size,
      ...(more === undefined ? {} : { more }),
    };
  }

  save(nodes: NodeLeases): RoomState {
    const members = this.members.all().map((member): MemberState => {
      const devices = [...member.devices.values()].map((device): DeviceState => [
        device.name,
        device.generation,
        device.lease.save(nodes),
        device.leaving ? 1 : 0,
        device.order,
        queuedBy(device),
      ]);
      const { id, order, dataBytes, data } = member;
      return data === undefined ? [id, order, dataBytes, devices] : [id, order, dataBytes, devices, data];
    });
    return { head: [this.epoch, this.term, this.version, this.members.next], members };
  }

  /** Into a new room; the ledger has what it weighs already. @param onDevice Called with each device and what it was queued by. */
  restore(
    { head, members }: RoomState,
    nodes: NodeLeases,
    onDevice: (device: PresenceDevice, key: number | null) => void,
  ): void {
    const [epoch, term, version, next] = head;
    this.epoch = epoch;
    this.term = term;
    this.version = version;
    const restored = members.map(([id, order, dataBytes, devices, data]) => {
      const member: Member = { id, order, data, dataBytes, devices: new Map<string, PresenceDevice>() };
      for (const [name, generation, lease, leaving, place, key] of devices) {
        const held = Lease.restored(lease, nodes);
        const device = new PresenceDevice(this, member, name, place, generation, held);
        device.leaving = leaving === 1;
        member.devices.set(name, device);
        onDevice(device, key);
      }
      return member;
    });
    this.members.restore(restored, next);
  }

  private admit(entry: PresenceEntry, lease: Lease, order: number): PresenceDevice {
    let member = this.members.get(entry.member);
    if (member === undefined) {
      member = this.members.add(entry.member, (place) => ({
        id: entry.member,
        order: place,
        data: undefined,
        dataBytes: 0,
        devices: new Map<string, PresenceDevice>(),
      }));
      this.joined.add(member);
      this.ledger.charge(memberBytes(member.id));
    } else {
      this.updated.add(member);
    }
    const device = new PresenceDevice(this, member, entry.device, order, entry.generation, lease);
    this.ledger.charge(deviceBytes(device.name));
    member.devices.set(entry.device, device);
    return device;
  }

  private setData(member: Member, data: unknown): void {
    if (sameData(member.data, data)) return;
    const bytes = weightOf(data);
    this.ledger.charge(bytes - member.dataBytes);
    member.data = data;
    member.dataBytes = bytes;
    this.updated.add(member);
  }
}

type DeviceState = readonly [
  name: string,
  generation: number,
  lease: LeaseState,
  leaving: 0 | 1,
  order: number,
  key: number | null,
];
type MemberState = readonly [
  id: string,
  order: number,
  dataBytes: number,
  devices: readonly DeviceState[],
  data?: unknown,
];

/** A {@link PresenceRoom} in a checkpoint. */
export interface RoomState {
  readonly head: readonly [epoch: string, term: number, version: number, next: number];
  readonly members: readonly MemberState[];
}

function memberBytes(id: string): number {
  return MEMBER_BYTES + 2 * id.length;
}

function deviceBytes(name: string): number {
  return DEVICE_BYTES + 2 * name.length;
}

function view(member: Member): PresenceMember {
  return {
    id: member.id,
    devices: member.devices.size,
    ...(member.data === undefined ? {} : { data: member.data }),
  };
}

/** Whether two values of the kinds that a codec makes (those of JSON, and bytes) are equal, whatever the order of their keys. */
export function sameData(left: unknown, right: unknown, depth = 0): boolean {
  if (Object.is(left, right)) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  // Lists and bytes may have the members of an object.
  if (depth === MAX_DEPTH || Array.isArray(left) !== Array.isArray(right)) return false;
  if (ArrayBuffer.isView(left) !== ArrayBuffer.isView(right)) return false;
  const leftEntries = Object.entries(left);
  if (leftEntries.length !== Object.keys(right).length) return false;
  const other = right as Readonly<Record<string, unknown>>;
  return leftEntries.every(
    ([key, value]) => Object.hasOwn(other, key) && sameData(value, other[key], depth + 1),
  );
}
