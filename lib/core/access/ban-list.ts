/** One ban: until when (ms since the Unix epoch, `Infinity` for good) and why. */
export interface Ban {
  readonly until: number;
  readonly reason: string | undefined;
}

/** Users, or addresses, that are refused. Entries end by themselves; the number is bounded, oldest first. */
export class BanList {
  private readonly bans = new Map<string, Ban>();

  constructor(private readonly capacity = 100_000) {}

  add(subject: string, ban: Ban): void {
    // Set anew, so that the order of the map stays the order of age.
    this.bans.delete(subject);
    this.bans.set(subject, ban);
    if (this.bans.size <= this.capacity) return;
    const oldest = this.bans.keys().next();
    if (oldest.done !== true) this.bans.delete(oldest.value);
  }

  remove(subject: string): void {
    this.bans.delete(subject);
  }

  /** The ban that holds at `now`. */
  find(subject: string, now: number): Ban | undefined {
    const ban = this.bans.get(subject);
    if (ban === undefined || ban.until > now) return ban;
    this.bans.delete(subject);
    return undefined;
  }
}
