import { trimOldest } from '../async/oldest.js';

/** Most users, or addresses, that are refused at once on one node. */
const MAX_BANS = 100_000;

/** One ban: until when (on the monotonic clock, `Infinity` without end) and why. */
export interface Ban {
  readonly until: number;
  readonly reason: string | undefined;
}

/** Users, or addresses, that are refused for abuse. Entries expire; past the capacity the oldest is removed. */
export class BanList {
  private readonly bans = new Map<string, Ban>();

  constructor(private readonly capacity = MAX_BANS) {}

  /** Those that have ended and were not asked for since are still among them. */
  get size(): number {
    return this.bans.size;
  }

  add(subject: string, ban: Ban): void {
    // Removed first, so that the map stays in order of age.
    this.bans.delete(subject);
    this.bans.set(subject, ban);
    trimOldest(this.bans, this.capacity);
  }

  /** Adds a ban where none is in force that lasts longer. */
  extend(subject: string, ban: Ban, now: number): void {
    const known = this.find(subject, now);
    if (known === undefined || known.until < ban.until) this.add(subject, ban);
  }

  remove(subject: string): void {
    this.bans.delete(subject);
  }

  /** The ban that is in force at `now`, on the monotonic clock. */
  find(subject: string, now: number): Ban | undefined {
    const ban = this.bans.get(subject);
    if (ban === undefined || ban.until > now) return ban;
    this.bans.delete(subject);
    return undefined;
  }
}
