import type { ConcernedChannels } from '../ports/control.js';

/**
 * Patterns of one user that are recorded: each is compared with the channel of a command that is under way. Beyond it, all channels
 * of the user count as revoked for what is under way.
 */
const MAX_PATTERNS_PER_USER = 32;

/** Whether a user lost a channel; `unknown` where the records that would tell were removed. */
export type Revoked = boolean | 'unknown';

/**
 * When access of users was last revoked on this node, as a revision number: the authorization epoch of each user (G11). An operation
 * that waits reads {@link current} before and calls {@link revokedSince} at its commit, so that a revoke in between wins.
 */
export class Revocations {
  private revision = 0;
  /** Records that were removed are of this revision or older. */
  private forgotten = 0;
  /** The oldest first. */
  private readonly records = new Map<string, number>();
  /** The patterns among them, by user. */
  private readonly patterns = new Map<string, Map<string, ConcernedChannels>>();

  constructor(private readonly capacity = 10_000) {}

  get current(): number {
    return this.revision;
  }

  /** Records a revoke of some channels. */
  record(user: string, channels: ConcernedChannels): void {
    const { key: channel, isPattern } = channels;
    if (isPattern && !this.addPattern(user, channel, channels)) return this.store(user, '');
    this.store(user, channel);
  }

  /** What was revoked up to now is not known any more: for what is under way it may have been anything. */
  forget(): void {
    this.forgotten = ++this.revision;
    this.records.clear();
    this.patterns.clear();
  }

  /** Whether the user lost the channel after `revision`. */
  revokedSince(revision: number, user: string | undefined, channel: string): Revoked {
    if (this.revision === revision || user === undefined) return false;
    if (this.isRecorded(revision, user, '') || this.isRecorded(revision, user, channel)) return true;
    for (const [key, channels] of this.patterns.get(user) ?? [])
      if (this.isRecorded(revision, user, key) && channels.has(channel)) return true;
    return this.forgotten > revision ? 'unknown' : false;
  }

  private isRecorded(revision: number, user: string, channel: string): boolean {
    return (this.records.get(keyOf(user, channel)) ?? 0) > revision;
  }

  /** @returns `false` where the user has too many; then none is left. */
  private addPattern(user: string, key: string, channels: ConcernedChannels): boolean {
    let own = this.patterns.get(user);
    if (own === undefined) this.patterns.set(user, (own = new Map<string, ConcernedChannels>()));
    own.set(key, channels);
    if (own.size <= MAX_PATTERNS_PER_USER) return true;
    for (const pattern of own.keys()) this.records.delete(keyOf(user, pattern));
    this.patterns.delete(user);
    return false;
  }

  private store(user: string, channel: string): void {
    const key = keyOf(user, channel);
    this.records.delete(key);
    this.records.set(key, ++this.revision);
    if (this.records.size <= this.capacity) return;
    const oldest = this.records.entries().next();
    if (oldest.done === true) return;
    const [name, revision] = oldest.value;
    this.records.delete(name);
    this.forgotten = revision;
    const at = name.indexOf(' ');
    this.dropPattern(name.slice(at + 1), name.slice(0, at));
  }

  private dropPattern(user: string, key: string): void {
    const own = this.patterns.get(user);
    if (own?.delete(key) === true && own.size === 0) this.patterns.delete(user);
  }
}

function keyOf(user: string, channel: string): string {
  // Neither the name of a channel nor the key of a set has a blank, so no two keys are equal.
  return `${channel} ${user}`;
}
