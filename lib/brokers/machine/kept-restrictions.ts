import type { Room } from '../../core/async/first-ending.js';
import { OwnedRooms, type Owned } from '../../core/async/owned-rooms.js';
import type { BanRecord, LiftRecord, RestrictRecord, UnbanRecord } from '../../core/ports/control.js';
import {
  outlasts,
  ownerOf,
  RESTRICTION_ROOM,
  restrictionKey,
  type RestrictionOwner,
} from '../../core/ports/moderation.js';
import { restrictionOf } from '../common/restriction-of.js';

const MIN_TRIM = 64;
/** What one takes beside its texts, in bytes. */
const ENTRY_BYTES = 400;

interface Entry extends Owned<RestrictionOwner> {
  readonly record: BanRecord | RestrictRecord;
}

/**
 * Restrictions and bans of administrators that hold, for nodes that start later. Where they are too many, in count or in bytes, those
 * that end first are dropped, as on a node: of what people put and of what is put against spam each in its own room.
 */
export class KeptRestrictions {
  /** By {@link restrictionKey}, in the order in which they were put. */
  private readonly entries = new Map<string, Entry>();
  private readonly rooms: OwnedRooms<RestrictionOwner>;
  /** Number at which the ended ones are dropped; doubles, so that dropping stays O(1) for each. */
  private trimAt = MIN_TRIM;

  constructor(room: Readonly<Record<RestrictionOwner, Room>> = RESTRICTION_ROOM) {
    this.rooms = new OwnedRooms(room);
  }

  get size(): number {
    return this.entries.size;
  }

  /** What they take, in bytes. */
  get bytes(): number {
    return this.rooms.bytes;
  }

  /** @param now of the clock that they end by. */
  put(record: BanRecord | RestrictRecord, now: number): void {
    const key = keyOf(record);
    const until = now + (record.forMs ?? Infinity);
    const owner = ownerOf(record);
    if (outlasts(this.entries.get(key), { owner, until })) return;
    this.remove(key);
    if (until <= now) return;
    this.add(key, record, until);
    if (this.entries.size >= this.trimAt) this.trim(now);
    if (!this.rooms.isOver(owner)) return;
    this.trim(now);
    for (const other of this.rooms.excess(owner, this.entries)) this.remove(other);
  }

  lift(record: LiftRecord | UnbanRecord): void {
    this.remove(keyOf(record));
  }

  /** Those that hold, with what is left of each: a read, which drops nothing. @param now of the clock that they end by. */
  inForce(now: number): readonly (BanRecord | RestrictRecord)[] {
    const held: (BanRecord | RestrictRecord)[] = [];
    for (const { record, until } of this.entries.values()) {
      if (until > now) held.push(until === Infinity ? record : { ...record, forMs: until - now });
    }
    return held;
  }

  save(): KeptRestrictionsState {
    const entries = [...this.entries.values()].map(({ record, until }): RestrictionState =>
      until === Infinity ? [record] : [record, until],
    );
    return { trimAt: this.trimAt, entries };
  }

  /** Into a new one. */
  restore({ trimAt, entries }: KeptRestrictionsState): void {
    for (const [record, until = Infinity] of entries) this.add(keyOf(record), record, until);
    this.trimAt = trimAt;
  }

  private add(key: string, record: BanRecord | RestrictRecord, until: number): void {
    const bytes = ENTRY_BYTES + 2 * (key.length + JSON.stringify(record).length);
    const entry = { record, until, bytes, owner: ownerOf(record) };
    this.entries.set(key, entry);
    this.rooms.add(entry);
  }

  private trim(now: number): void {
    for (const [key, { until }] of this.entries) if (until <= now) this.remove(key);
    this.trimAt = Math.max(MIN_TRIM, 2 * this.entries.size);
  }

  private remove(key: string): void {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    this.entries.delete(key);
    this.rooms.remove(entry);
  }
}

type RestrictionState = readonly [record: BanRecord | RestrictRecord, until?: number];

/** {@link KeptRestrictions} in a checkpoint. */
export interface KeptRestrictionsState {
  readonly trimAt: number;
  readonly entries: readonly RestrictionState[];
}

function keyOf(record: BanRecord | RestrictRecord | LiftRecord | UnbanRecord): string {
  return restrictionKey(restrictionOf(record));
}
