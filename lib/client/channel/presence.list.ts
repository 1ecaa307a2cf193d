import type { PresenceMember } from '../../protocol/messages.js';
import { recordOf } from '../connection/welcome.js';

/** What a page or diff did to the list. `behind`: a version is missing, the list has to be read anew. */
export type PresenceEffect = 'none' | 'changed' | 'behind';

/** The body of a `presence` message, read with care: a newer server may send more or less. */
export interface PresenceNews {
  readonly epoch?: string;
  readonly version?: number;
  readonly previous?: number;
  readonly count?: number;
  readonly more?: string;
  readonly members: readonly PresenceMember[];
  readonly join: readonly PresenceMember[];
  readonly update: readonly PresenceMember[];
  readonly leave: readonly string[];
}

/** Reads a page, a diff, or the bare count of a large channel. */
export function readPresence(payload: unknown): PresenceNews {
  const { epoch, version, previous, count, more, members, join, update, leave } = recordOf(payload);
  return {
    ...(typeof epoch === 'string' ? { epoch } : {}),
    ...(typeof version === 'number' ? { version } : {}),
    ...(typeof previous === 'number' ? { previous } : {}),
    ...(typeof count === 'number' ? { count } : {}),
    ...(typeof more === 'string' ? { more } : {}),
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
  private full = false;

  constructor(private readonly max: number) {}

  /** A new array each time: keep it, change it, hand it to a renderer. */
  get all(): PresenceMember[] {
    return [...this.members.values()];
  }

  get count(): number {
    return this.total;
  }

  /** Whether the list holds every member, rather than the first ones or none. */
  get complete(): boolean {
    return this.full;
  }

  clear(): void {
    this.members.clear();
    this.epoch = undefined;
    this.version = 0;
    this.total = 0;
    this.full = false;
  }

  /** The first page of a reading: diffs continue its version, also while later pages are read. */
  begin(page: PresenceNews): void {
    this.clear();
    this.epoch = page.epoch;
    this.version = page.version ?? 0;
    this.add(page);
  }

  /** A further page. */
  add(page: PresenceNews): void {
    for (const member of page.members) this.put(member);
    this.full = page.more === undefined && this.members.size < this.max;
    this.total = Math.max(page.count ?? 0, this.members.size);
  }

  get isFull(): boolean {
    return this.members.size >= this.max;
  }

  diff(news: PresenceNews): PresenceEffect {
    if (news.version === undefined) {
      // Large channels tell only how many (protocol §2); who they are is no longer followed.
      if (news.count === undefined) return 'none';
      this.members.clear();
      this.full = false;
      this.total = news.count;
      return 'changed';
    }
    if (news.epoch !== this.epoch) return 'behind';
    if (news.version <= this.version) return 'none';
    if (news.previous !== this.version) return 'behind';
    this.version = news.version;
    const before = this.members.size;
    for (const member of news.join) this.put(member);
    for (const member of news.update) this.put(member);
    for (const id of news.leave) this.members.delete(id);
    if (this.full) this.total = this.members.size;
    else this.total = news.count ?? Math.max(this.members.size, this.total + this.members.size - before);
    return 'changed';
  }

  private put(member: PresenceMember): void {
    if (this.members.has(member.id) || this.members.size < this.max) this.members.set(member.id, member);
    else this.full = false;
  }
}

function membersOf(value: unknown): PresenceMember[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((item: unknown) => {
    const { id, devices, data } = recordOf(item);
    if (typeof id !== 'string') return [];
    return [
      { id, devices: typeof devices === 'number' ? devices : 1, ...(data === undefined ? {} : { data }) },
    ];
  });
}
