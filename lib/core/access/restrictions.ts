import { firstEnding, type Room } from '../async/first-ending.js';
import { OwnedRooms } from '../async/owned-rooms.js';
import { ChannelSet, meet } from '../channel/channel-set.js';
import {
  outlasts,
  ownerOf,
  RESTRICTION_ROOM,
  restrictionKey,
  type RestrictionOwner,
  type RestrictedAct,
  type RestrictedSubject,
  type Restriction,
  type RestrictionName,
} from '../ports/moderation.js';

/** What one takes beside its texts, in bytes. */
const ENTRY_BYTES = 600;
const MIN_SWEEP = 64;
/** Most patterns of one act and subject: each command of who is meant is compared with all of them. */
export const MAX_PATTERNS = 1_000;
/** Most restrictions of a page. */
export const MAX_RESTRICTIONS_PAGE = 1_000;
/** Most restrictions that the answer to a lift names as still in force. */
export const MAX_REMAINING = 100;

/** A client, as restrictions name clients. */
export interface RestrictedClient {
  readonly userId: string | undefined;
  /** `''` before the ticket was read. */
  readonly lineage: string;
  readonly network: string;
}

/** What is in force for a client. */
export interface Found {
  /** When it ends, on the monotonic clock; `Infinity` without end. */
  readonly until: number;
  readonly reason: string | undefined;
}

/** Which restrictions are listed: those that have all that is given. */
export interface RestrictionFilter {
  readonly act?: RestrictedAct | undefined;
  readonly whom?: RestrictedSubject | undefined;
  /** The name of a channel: those of exactly it, and of patterns that it matches. A pattern: those of the same channels. */
  readonly channel?: string | undefined;
}

/** A page of restrictions. */
export interface RestrictionPage {
  /** In the order in which they were put. */
  readonly restrictions: readonly Restriction[];
  /** The `cursor` of the next page; absent on the last. */
  readonly more?: string;
}

interface Entry extends Found {
  readonly serial: number;
  readonly key: string;
  readonly subject: string;
  readonly restriction: Restriction;
  readonly channels: ChannelSet;
  readonly bytes: number;
  readonly owner: RestrictionOwner;
}

/** The restrictions of one act and subject. */
interface OfSubject {
  /** By the name of the channel; `''` for everywhere. */
  readonly named: Map<string, Entry>;
  /** Those of patterns, by {@link ChannelSet.key}. */
  readonly patterns: Map<string, Entry>;
}

/**
 * The restrictions that are in force on this node (G30). Each ends by the monotonic clock. Where there are too many, in count or in
 * bytes, those that end first are dropped, and the log says so: of what people put and of what is put against spam each in its own room.
 */
export class Restrictions {
  /** In the order in which they were put. */
  private readonly entries = new Map<string, Entry>();
  private readonly bySubject = new Map<string, OfSubject>();
  private readonly counts: Record<RestrictedAct, number> = { ban: 0, mute: 0, slow: 0 };
  /** Patterns for which room is kept, by subject, and how often. */
  private readonly awaited = new Map<string, Map<string, number>>();
  private serial = 0;
  private readonly rooms: OwnedRooms<RestrictionOwner>;
  private sweepAt = MIN_SWEEP;

  /** @param onDropped is called with how many were dropped for lack of room. */
  constructor(
    private readonly onDropped: (count: number) => void = () => undefined,
    room: Readonly<Record<RestrictionOwner, Room>> = RESTRICTION_ROOM,
    private readonly maxPatterns = MAX_PATTERNS,
  ) {
    this.rooms = new OwnedRooms(room);
  }

  get size(): number {
    return this.entries.size;
  }

  get bytes(): number {
    return this.rooms.bytes;
  }

  /** How many there are of an act. */
  countOf(act: RestrictedAct): number {
    return this.counts[act];
  }

  /** Whether there is any of the act: where there is none, nothing has to be looked up. */
  has(act: RestrictedAct): boolean {
    return this.counts[act] > 0;
  }

  /**
   * @param now the monotonic clock.
   * @throws RangeError for channels that this version does not understand.
   */
  put(restriction: Restriction, now: number): void {
    const key = restrictionKey(restriction);
    const channels = ChannelSet.parse(restriction.channel);
    const until = now + (restriction.forMs ?? Infinity);
    const owner = ownerOf(restriction);
    if (outlasts(this.entries.get(key), { owner, until })) return;
    this.remove(key);
    if (until <= now) return;
    if (this.entries.size >= this.sweepAt) this.sweep(now);
    const { act, whom, reason } = restriction;
    const bytes = ENTRY_BYTES + 2 * (2 * key.length + JSON.stringify(restriction).length);
    const subject = subjectOf(act, whom.of, whom.id);
    const entry = { serial: ++this.serial, key, subject, restriction, channels, bytes, until, reason, owner };
    this.entries.set(key, entry);
    let own = this.bySubject.get(subject);
    if (own === undefined) this.bySubject.set(subject, (own = { named: new Map(), patterns: new Map() }));
    (channels.isPattern ? own.patterns : own.named).set(channels.key, entry);
    this.counts[act]++;
    this.rooms.add(entry);
    const { patterns } = own;
    if (patterns.size > this.maxPatterns)
      this.drop(patterns, { count: this.maxPatterns, bytes: Infinity }, now);
    if (this.rooms.isOver(owner)) this.makeRoom(owner, now);
  }

  /**
   * Keeps room for the pattern of a restriction that is about to be put, so that several at once do not take the same; other channels
   * need none.
   *
   * @param now the monotonic clock.
   * @returns to be called when it was put, or will not be; `undefined` where there is no room.
   */
  reserve({ act, whom, channel }: RestrictionName, now: number): (() => void) | undefined {
    const { isPattern, key } = ChannelSet.parse(channel);
    if (!isPattern) return () => undefined;
    const subject = subjectOf(act, whom.of, whom.id);
    const patterns = this.bySubject.get(subject)?.patterns;
    const awaited = this.awaited.get(subject) ?? new Map<string, number>();
    const times = awaited.get(key) ?? 0;
    if (times === 0 && patterns?.has(key) !== true) {
      let count = 0;
      for (const { until } of patterns?.values() ?? []) if (until > now) count++;
      for (const other of awaited.keys()) if (patterns?.has(other) !== true) count++;
      if (count >= this.maxPatterns) return undefined;
    }
    this.awaited.set(subject, awaited.set(key, times + 1));
    return () => {
      const left = (awaited.get(key) ?? 1) - 1;
      if (left > 0) awaited.set(key, left);
      else awaited.delete(key);
      if (awaited.size === 0) this.awaited.delete(subject);
    };
  }

  lift(name: RestrictionName): void {
    this.remove(restrictionKey(name));
  }

  /** Lifts all but these. */
  liftOthers(kept: readonly RestrictionName[]): void {
    const keys = new Set(kept.map(restrictionKey));
    for (const key of this.entries.keys()) if (!keys.has(key)) this.remove(key);
  }

  /**
   * What of an act is in force for a client: of several, what ends last.
   *
   * @param channel where; `undefined`: everywhere.
   * @param now the monotonic clock.
   */
  find(
    act: 'ban' | 'mute',
    client: RestrictedClient,
    channel: string | undefined,
    now: number,
  ): Found | undefined {
    if (this.counts[act] === 0) return undefined;
    let found: Found | undefined;
    this.eachOf(act, client, channel, now, (entry) => {
      if (found === undefined || entry.until > found.until) found = entry;
    });
    return found;
  }

  /** Slow mode of a client in a channel: one publish in so many milliseconds; 0 without. @param now the monotonic clock. */
  slowMs(client: RestrictedClient, channel: string, now: number): number {
    if (this.counts.slow === 0) return 0;
    let everyMs = 0;
    this.eachOf('slow', client, channel, now, ({ restriction }) => {
      everyMs = Math.max(everyMs, restriction.everyMs ?? 0);
    });
    return everyMs;
  }

  /** @param after the `more` of the page before. */
  list(
    { act, whom, channel }: RestrictionFilter,
    after: number,
    limit: number,
    now: number,
  ): RestrictionPage {
    const wanted = channel === undefined ? undefined : ChannelSet.parse(channel);
    const restrictions: Restriction[] = [];
    let last = after;
    for (const { serial, restriction, channels, until } of this.entries.values()) {
      if (serial <= after || until <= now) continue;
      if (act !== undefined && restriction.act !== act) continue;
      if (whom !== undefined && (restriction.whom.of !== whom.of || restriction.whom.id !== whom.id))
        continue;
      if (wanted !== undefined && !concerns(channels, wanted)) continue;
      if (restrictions.length === limit) return { restrictions, more: String(last) };
      restrictions.push(leftOf(restriction, until, now));
      last = serial;
    }
    return { restrictions };
  }

  /**
   * What else of the same act and subject is in force in channels of a restriction that was lifted, at most {@link MAX_REMAINING}.
   *
   * @param now the monotonic clock.
   */
  remaining({ act, whom, channel }: RestrictionName, now: number): readonly Restriction[] {
    const own = this.bySubject.get(subjectOf(act, whom.of, whom.id));
    if (own === undefined) return [];
    const lifted = ChannelSet.parse(channel);
    const found: Restriction[] = [];
    for (const entries of [own.patterns, own.named]) {
      for (const { restriction, channels, until } of entries.values()) {
        if (until <= now || !meet(channels, lifted)) continue;
        if (found.push(leftOf(restriction, until, now)) === MAX_REMAINING) return found;
      }
    }
    return found;
  }

  private eachOf(
    act: RestrictedAct,
    { userId, lineage, network }: RestrictedClient,
    channel: string | undefined,
    now: number,
    visit: (entry: Entry) => void,
  ): void {
    if (userId !== undefined) this.each(subjectOf(act, 'user', userId), channel, now, visit);
    if (lineage !== '') this.each(subjectOf(act, 'session', lineage), channel, now, visit);
    this.each(subjectOf(act, 'address', network), channel, now, visit);
    if (act === 'slow') this.each(subjectOf(act, 'everybody', ''), channel, now, visit);
  }

  private each(
    subject: string,
    channel: string | undefined,
    now: number,
    visit: (entry: Entry) => void,
  ): void {
    const own = this.bySubject.get(subject);
    if (own === undefined) return;
    const take = (entry: Entry | undefined): void => {
      if (entry === undefined) return;
      if (entry.until > now) visit(entry);
      else this.remove(entry.key);
    };
    take(own.named.get(''));
    if (channel === undefined) return;
    take(own.named.get(channel));
    for (const entry of own.patterns.values()) if (entry.channels.has(channel)) take(entry);
  }

  private remove(key: string): void {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    this.entries.delete(key);
    this.counts[entry.restriction.act]--;
    this.rooms.remove(entry);
    const own = this.bySubject.get(entry.subject);
    if (own === undefined) return;
    (entry.channels.isPattern ? own.patterns : own.named).delete(entry.channels.key);
    if (own.named.size === 0 && own.patterns.size === 0) this.bySubject.delete(entry.subject);
  }

  /** Drops those that have ended. Its next run is at twice as many, so that it stays O(1) for each one that is put. */
  private sweep(now: number): void {
    for (const { key, until } of this.entries.values()) if (until <= now) this.remove(key);
    this.sweepAt = Math.max(MIN_SWEEP, 2 * this.entries.size);
  }

  private makeRoom(owner: RestrictionOwner, now: number): void {
    this.sweep(now);
    this.discard(this.rooms.excess(owner, this.entries));
  }

  /** Drops what has ended, and what ends first of what is too much. */
  private drop(entries: ReadonlyMap<string, Entry>, room: Room, now: number): void {
    for (const { key, until } of entries.values()) if (until <= now) this.remove(key);
    this.discard(firstEnding(entries, room).map((name) => (entries.get(name) as Entry).key));
  }

  private discard(keys: readonly string[]): void {
    for (const key of keys) this.remove(key);
    if (keys.length > 0) this.onDropped(keys.length);
  }
}

/** With what is left of its time. */
function leftOf(restriction: Restriction, until: number, now: number): Restriction {
  return until === Infinity ? restriction : { ...restriction, forMs: Math.ceil(until - now) };
}

function subjectOf(act: RestrictedAct, of: RestrictedSubject['of'], id: string): string {
  return `${act} ${of} ${id}`;
}

function concerns(channels: ChannelSet, wanted: ChannelSet): boolean {
  if (channels.key === wanted.key) return true;
  return wanted.name !== undefined && channels.key !== '' && channels.has(wanted.name);
}
