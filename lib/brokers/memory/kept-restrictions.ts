import { firstEnding, type Ending, type Room } from '../../core/async/first-ending.js';
import type { BanRecord, LiftRecord, RestrictRecord, UnbanRecord } from '../../core/ports/control.js';
import { MAX_RESTRICTION_BYTES, MAX_RESTRICTIONS, restrictionKey } from '../../core/ports/moderation.js';

const MIN_TRIM = 64;
/** What one takes beside its texts, in bytes. */
const ENTRY_BYTES = 400;

interface Entry extends Ending {
  readonly record: BanRecord | RestrictRecord;
}

/**
 * Restrictions and bans of administrators that hold, for nodes that start later. Where they are too many, in count or in bytes, those
 * that end first are dropped, as on a node.
 */
export class KeptRestrictions {
  /** By {@link restrictionKey}, in the order in which they were put. */
  private readonly entries = new Map<string, Entry>();
  private weight = 0;
  /** Number at which the ended ones are dropped; doubles, so that dropping stays O(1) for each. */
  private trimAt = MIN_TRIM;

  constructor(private readonly room: Room = { count: MAX_RESTRICTIONS, bytes: MAX_RESTRICTION_BYTES }) {}

  get size(): number {
    return this.entries.size;
  }

  /** What they take, in bytes. */
  get bytes(): number {
    return this.weight;
  }

  /** @param now the monotonic clock. */
  put(record: BanRecord | RestrictRecord, now: number): void {
    const key = keyOf(record);
    this.remove(key);
    const until = now + (record.forMs ?? Infinity);
    if (until <= now) return;
    const bytes = ENTRY_BYTES + 2 * (key.length + JSON.stringify(record).length);
    this.entries.set(key, { record, until, bytes });
    this.weight += bytes;
    if (this.entries.size >= this.trimAt) this.trim(now);
    if (this.entries.size <= this.room.count && this.weight <= this.room.bytes) return;
    this.trim(now);
    for (const other of firstEnding(this.entries, this.room)) this.remove(other);
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
    this.weight -= entry.bytes;
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
