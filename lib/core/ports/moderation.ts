/** What a restriction does: `ban` keeps somebody out, `mute` lets somebody read only, `slow` sets how often somebody may publish. */
export type RestrictedAct = 'ban' | 'mute' | 'slow';

/**
 * Whom a restriction concerns: a user, one session through all its connections (its lineage, so that a resume does not evade it), or
 * an address as limits count addresses (of IPv6: everybody with the same first bits). `everybody` only for slow mode.
 */
export interface RestrictedSubject {
  /** What the id is of. */
  readonly of: 'user' | 'session' | 'address' | 'everybody';
  /** The id of the user, the lineage of the session, or the address; `''` for everybody. */
  readonly id: string;
}

/** What an administrator, or the library's protection against spam, has put on somebody. */
export interface Restriction {
  /** What it does. */
  readonly act: RestrictedAct;
  /** Whom it concerns. */
  readonly whom: RestrictedSubject;
  /** Name of a channel, or a pattern as in `@Channel`. Absent: everywhere. */
  readonly channel?: string;
  /**
   * How long, in milliseconds: what is left of it when it is listed, or handed to a node. Absent: without end. A broker takes its
   * age off by a clock of its own, and never by the wall clocks of two nodes.
   */
  readonly forMs?: number;
  /** Of `slow`: one publish in so many milliseconds. */
  readonly everyMs?: number;
  /** Why; for the log and the audit, never for clients. */
  readonly reason?: string;
  /** Who did it. */
  readonly by?: string;
}

/** What a restriction is known by: a later one of the same act, subject and channels takes its place. */
export type RestrictionName = Pick<Restriction, 'act' | 'whom' | 'channel'>;

/** Most restrictions that are kept, in a broker and on a node. Above it, those that end first are dropped. */
export const MAX_RESTRICTIONS = 100_000;
/** Most bytes that they take there. */
export const MAX_RESTRICTION_BYTES = 64 * 1024 * 1024;

/** Who put what the protection against spam puts on clients, in records and the audit. */
export const BY_SPAM = 'spam';
/** Most restrictions of the protection against spam: clients cause them, so they have room of their own. Above it, those that end first are dropped. */
export const MAX_SPAM_RESTRICTIONS = 25_000;
/** Most bytes that they take. */
export const MAX_SPAM_RESTRICTION_BYTES = 16 * 1024 * 1024;

/** Room for what people put, and for what the protection against spam puts: neither displaces the other. */
export const RESTRICTION_ROOM = {
  people: { count: MAX_RESTRICTIONS, bytes: MAX_RESTRICTION_BYTES },
  spam: { count: MAX_SPAM_RESTRICTIONS, bytes: MAX_SPAM_RESTRICTION_BYTES },
};

/** Whose room a restriction takes. */
export type RestrictionOwner = keyof typeof RESTRICTION_ROOM;

export function ownerOf({ by }: Pick<Restriction, 'by'>): RestrictionOwner {
  return by === BY_SPAM ? 'spam' : 'people';
}

/** A restriction with its end, on some monotonic clock. */
interface OwnedEnd {
  readonly owner: RestrictionOwner;
  readonly until: number;
}

/** Whether what is there stays: what people put is never shortened by what the node does by itself. */
export function outlasts(there: OwnedEnd | undefined, { owner, until }: OwnedEnd): boolean {
  return owner === 'spam' && there?.owner === 'people' && there.until >= until;
}

/**
 * Equal for restrictions of which the later takes the place of the earlier. Names of parameters do not count: `rooms.:room` has the
 * same channels as `rooms.:id`.
 */
export function restrictionKey({ act, whom, channel = '' }: RestrictionName): string {
  const channels = channel.replace(/(^|\.):[^.]*/g, '$1*');
  // None of the parts before the id has a blank.
  return `${act} ${whom.of} ${channels} ${whom.id}`;
}
