import { firstEnding, type Ending, type Room } from '../../core/async/first-ending.js';
import type { BanRecord, LiftRecord, RestrictRecord, UnbanRecord } from '../../core/ports/control.js';
import {
  ownerOf,
  RESTRICTION_ROOM,
  restrictionKey,
  type RestrictionOwner,
} from '../../core/ports/moderation.js';

const MIN_TRIM = 64;
/** What one takes beside its texts, in bytes. */
const ENTRY_BYTES = 400;

interface Entry extends Ending {
  readonly record: BanRecord | RestrictRecord;
  readonly owner: RestrictionOwner;
}

/**
 * Restrictions and bans of administrators that hold, for nodes that start later. Where they are too many, in count or in bytes, those
 * that end first are dropped, as on a node: of what people put and of what is put against spam each in its own room.
 */
export class KeptRestrictions {
  /** By {@link restrictionKey}, in the order in which they were put. */
  private readonly entries = new Map<string, Entry>();
  private readonly taken = { people: { count: 0, bytes: 0 }, spam: { count: 0, bytes: 0 } };
  /** Number at which the ended ones are dropped; doubles, so that dropping stays O(1) for each. */
  private trimAt = MIN_TRIM;

  constructor(private readonly room: Readonly<Record<RestrictionOwner, Room>> = RESTRICTION_ROOM) {}

  get size(): number {
    return this.entries.size;
  }

  /** What they take, in bytes. */
  get bytes(): number {
    return this.taken.people.bytes + this.taken.spam.bytes;
  }

  /** @param now the monotonic clock. */
  put(record: BanRecord | RestrictRecord, now: number): void {
    const key = keyOf(record);
    const until = now + (record.forMs ?? Infinity);
    const owner = ownerOf(record);
    const before = this.entries.get(key);
    if (owner === 'spam' && before?.owner === 'people' && before.until >= until) return;
    this.remove(key);
    if (until <= now) return;
    const bytes = ENTRY_BYTES + 2 * (key.length + JSON.stringify(record).length);
    this.entries.set(key, { record, until, bytes, owner });
    const [taken, room] = [this.taken[owner], this.room[owner]];
    taken.count++;
    taken.bytes += bytes;
    if (this.entries.size >= this.trimAt) this.trim(now);
    if (taken.count <= room.count && taken.bytes <= room.bytes) return;
    this.trim(now);
    const own = new Map([...this.entries].filter(([, entry]) => entry.owner === owner));
    for (const other of firstEnding(own, room)) this.remove(other);
  }

  lift(record: LiftRecord | UnbanRecord): void {
    this.remove(keyOf(record));
  }

  /** Those that hold, with what is left of each. @param now the monotonic clock. */
  inForce(now: number): readonly (BanRecord | RestrictRecord)[] {
    this.trim(now);
    return [...this.entries.values()].map(({ record, until }) =>
      until === Infinity ? record : { ...record, forMs: until - now },
    );
  }

  private trim(now: number): void {
    for (const [key, { until }] of this.entries) if (until <= now) this.remove(key);
    this.trimAt = Math.max(MIN_TRIM, 2 * this.entries.size);
  }

  private remove(key: string): void {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    this.entries.delete(key);
    const taken = this.taken[entry.owner];
    taken.count--;
    taken.bytes -= entry.bytes;
  }
}

/** A ban of a user everywhere has a record of its own. */
function keyOf(record: BanRecord | RestrictRecord | LiftRecord | UnbanRecord): string {
  return restrictionKey(
    record.kind === 'ban' || record.kind === 'unban'
      ? { act: 'ban', whom: { of: 'user', id: record.user } }
      : record,
  );
}
