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
  readonly counted: boolean;
  readonly members: readonly PresenceMember[];
  readonly join: readonly PresenceMember[];
  readonly update: readonly PresenceMember[];
  readonly leave: readonly string[];
}

/** Reads a page, a diff, or the bare count of a large channel. */
export function readPresence(payload: unknown): PresenceNews {
  const { epoch, version, previous, count, more, counted, members, join, update, leave } = recordOf(payload);
  return {
    ...(typeof epoch === 'string' ? { epoch } : {}),
    ...(typeof version === 'number' ? { version } : {}),
    ...(typeof previous === 'number' ? { previous } : {}),
    ...(typeof count === 'number' ? { count } : {}),
    ...(typeof more === 'string' ? { more } : {}),
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
  private full = false;
  private counted = false;

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
    this.counted = false;
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
    this.counted ||= page.counted;
    this.full = page.more === undefined && this.members.size < this.max && !this.counted;
    this.total = Math.max(page.count ?? 0, this.members.size);
  }

  /** Whether only the number of members is followed, because there are so many (P22a). */
  get isCounted(): boolean {
    return this.counted;
  }

  get isFull(): boolean {
    return this.members.size >= this.max;
  }

  /** A diff, or the number of members of a large channel. */
  diff(news: PresenceNews): PresenceEffect {
    if (news.version !== undefined && news.epoch === this.epoch && news.version <= this.version)
      return 'none';
    // A diff always says what it follows.
    if (news.previous === undefined && news.count !== undefined) return this.tally(news, news.count);
    if (news.version === undefined) return 'none';
    // While they were only counted, nothing was told of who they are.
    if (this.counted || news.epoch !== this.epoch || news.previous !== this.version) return 'behind';
    this.version = news.version;
    for (const member of news.join) this.put(member);
    for (const member of news.update) this.put(member);
    for (const id of news.leave) this.members.delete(id);
    const counted = news.count ?? this.total + news.join.length - news.leave.length;
    this.total = this.full ? this.members.size : Math.max(counted, this.members.size);
    return 'changed';
  }

  /** Those who are known stay: they are the first members, as they were last told. */
  private tally(news: PresenceNews, count: number): PresenceEffect {
    const isNews = !this.counted || this.total !== count;
    this.counted = true;
    this.full = false;
    this.total = count;
    if (news.version !== undefined) {
      this.epoch = news.epoch;
      this.version = news.version;
    }
    // Some of those who are known must have left.
    if (this.members.size > count) return 'behind';
    return isNews ? 'changed' : 'none';
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
