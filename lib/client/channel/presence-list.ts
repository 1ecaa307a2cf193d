import type { PresenceDiff, PresenceMember, PresencePage } from '../../protocol/messages.js';
import { omitUndefined } from '../../protocol/omit-undefined.js';
import { recordOf, stringOf } from '../received.js';

/** What a diff did to the list. `behind`: a version is missing, so the list has to be read again. */
export type PresenceEffect = 'none' | 'changed' | 'behind';

/** The body of a `presence` message or page. */
export interface PresenceChange
  extends
    Pick<PresenceDiff, 'join' | 'update' | 'leave'>,
    Partial<Pick<PresenceDiff, 'epoch' | 'version' | 'previous' | 'count'>>,
    Pick<PresencePage, 'members' | 'more'> {
  readonly counted: boolean;
}

/** Reads a page, a diff, or the bare count of a large channel. Any field may be missing. */
export function readPresence(payload: unknown): PresenceChange {
  const { epoch, version, previous, count, more, counted, members, join, update, leave } = recordOf(payload);
  return {
    epoch: stringOf(epoch),
    version: numberOf(version),
    previous: numberOf(previous),
    count: numberOf(count),
    more: stringOf(more),
    counted: counted === true,
    members: membersOf(members),
    join: membersOf(join),
    update: membersOf(update),
    leave: Array.isArray(leave) ? leave.filter((id) => typeof id === 'string') : [],
  };
}

/** The members of one channel at one version; free of I/O. */
export class PresenceList {
  private readonly members = new Map<string, PresenceMember>();
  private epoch: string | undefined;
  private version = 0;
  private total = 0;
  private hasAll = false;
  private counted = false;

  constructor(private readonly max: number) {}

  /** The members in a new array, which the caller may keep and change. */
  get all(): PresenceMember[] {
    return [...this.members.values()];
  }

  get count(): number {
    return this.total;
  }

  /** Whether the list holds every member, rather than the first ones or none. */
  get complete(): boolean {
    return this.hasAll;
  }

  /** Whether only the number of members is followed, because there are so many (P22a). */
  get isCounted(): boolean {
    return this.counted;
  }

  get isFull(): boolean {
    return this.members.size >= this.max;
  }

  clear(): void {
    this.members.clear();
    this.epoch = undefined;
    this.version = 0;
    this.total = 0;
    this.hasAll = false;
    this.counted = false;
  }

  /** The first page of a reading. Diffs continue its version, also while later pages are read. */
  begin(page: PresenceChange): void {
    this.clear();
    this.epoch = page.epoch;
    this.version = page.version ?? 0;
    this.add(page);
  }

  /** A further page. */
  add(page: PresenceChange): void {
    for (const member of page.members) this.put(member);
    this.counted ||= page.counted;
    this.hasAll = page.more === undefined && !this.isFull && !this.counted;
    this.total = Math.max(page.count ?? 0, this.members.size);
  }

  /** A diff, or the number of members of a large channel. */
  diff(change: PresenceChange): PresenceEffect {
    const { epoch, version, previous, count, join, update, leave } = change;
    if (version !== undefined && epoch === this.epoch && version <= this.version) return 'none';
    // A diff always has `previous`; a count has none.
    if (previous === undefined && count !== undefined) return this.setCount(change, count);
    if (version === undefined) return 'none';
    // While the members were only counted, nothing was known of who joined and left.
    if (this.counted || epoch !== this.epoch || previous !== this.version) return 'behind';
    this.version = version;
    for (const member of [...join, ...update]) this.put(member);
    for (const id of leave) this.members.delete(id);
    const counted = count ?? this.total + join.length - leave.length;
    this.total = this.hasAll ? this.members.size : Math.max(counted, this.members.size);
    return 'changed';
  }

  /** The known members stay: they are the first members, as they were when they were read. */
  private setCount({ epoch, version }: PresenceChange, count: number): PresenceEffect {
    const changed = !this.counted || this.total !== count;
    this.counted = true;
    this.hasAll = false;
    this.total = count;
    if (version !== undefined) {
      this.epoch = epoch;
      this.version = version;
    }
    // Some of the known members must have left.
    if (this.members.size > count) return 'behind';
    return changed ? 'changed' : 'none';
  }

  private put(member: PresenceMember): void {
    if (this.members.has(member.id) || !this.isFull) this.members.set(member.id, member);
    else this.hasAll = false;
  }
}

function membersOf(value: unknown): PresenceMember[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((item: unknown) => {
    const { id, devices, data } = recordOf(item);
    return typeof id === 'string' ? [omitUndefined({ id, devices: numberOf(devices) ?? 1, data })] : [];
  });
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
