/**
 * When access of users was last revoked on this node, as a revision number (G11). An operation that waits reads
 * {@link current} before and calls {@link revokedSince} at its commit, so that a revoke in between wins.
 */
export class Revocations {
  private revision = 0;
  /** Records that were removed are of this revision or older. */
  private forgotten = 0;
  private readonly records = new Map<string, number>();

  constructor(private readonly capacity = 10_000) {}

  get current(): number {
    return this.revision;
  }

  /** Records a revoke of one channel, or of all when `channel` is left out. */
  record(user: string, channel?: string): void {
    const key = keyOf(user, channel);
    this.records.delete(key);
    this.records.set(key, ++this.revision);
    if (this.records.size <= this.capacity) return;
    const oldest = this.records.entries().next();
    if (oldest.done === true) return;
    this.records.delete(oldest.value[0]);
    this.forgotten = oldest.value[1];
  }

  /** Whether the user lost the channel after `revision`. Removed records count as a yes: refusing in doubt is safe. */
  revokedSince(revision: number, user: string | undefined, channel: string): boolean {
    if (this.revision === revision || user === undefined) return false;
    if (this.forgotten > revision) return true;
    return (
      (this.records.get(keyOf(user, undefined)) ?? 0) > revision ||
      (this.records.get(keyOf(user, channel)) ?? 0) > revision
    );
  }
}

function keyOf(user: string, channel: string | undefined): string {
  // Channel names contain neither a blank nor `*`, so no two keys are equal.
  return `${channel ?? '*'} ${user}`;
}
