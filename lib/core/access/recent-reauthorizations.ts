import type { ConcernedChannels } from '../ports/control.js';

/** Remembered for subscribes that are under way, which take no longer than a few calls of the application. */
const MAX_REMEMBERED = 64;

interface Reauthorized {
  readonly user: string | undefined;
  readonly channels: ConcernedChannels;
}

/**
 * What was to be authorized again lately, as a revision number: an answer that the application gave a subscribe before that may be out
 * of date at its commit (G11).
 */
export class RecentReauthorizations {
  private revision = 0;
  /** The newest last; it has the revision {@link current}. */
  private readonly recent: Reauthorized[] = [];

  get current(): number {
    return this.revision;
  }

  /** @param user of all users, and of anonymous clients, when left out. */
  record(user: string | undefined, channels: ConcernedChannels): void {
    this.revision++;
    this.recent.push({ user, channels });
    if (this.recent.length > MAX_REMEMBERED) this.recent.shift();
  }

  /** Whether the subscription was to be authorized again after `revision`. What is not remembered counts as a yes. */
  concerns(revision: number, user: string | undefined, channel: string): boolean {
    const count = this.revision - revision;
    if (count === 0) return false;
    if (count > this.recent.length) return true;
    return this.recent
      .slice(-count)
      .some((one) => (one.user === undefined || one.user === user) && one.channels.has(channel));
  }
}
