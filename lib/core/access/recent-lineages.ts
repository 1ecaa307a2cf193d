/** A session of a client, across its connections (P28), whose last connection ended on this node. */
interface Ended {
  /** Channels that it held, until they were granted. */
  channels: number;
  readonly endedAt: number;
  grantedAt: number;
}

/**
 * How many channels sessions held whose connection ended here a short time ago. A client that comes back subscribes to them
 * again, and that is no abuse, however many there are (G16). Each end grants them once, and no session is granted them again
 * before `againAfterMs`: to reconnect in a circle pays nothing. Bounded: above the capacity the oldest is forgotten.
 */
export class RecentLineages {
  private readonly ended = new Map<string, Ended>();

  /** @param keptMs how long an end is remembered, and `againAfterMs` after which a session is granted again. */
  constructor(
    private readonly capacity: number,
    private readonly keptMs: number,
    private readonly againAfterMs: number,
  ) {}

  get size(): number {
    return this.ended.size;
  }

  /** A connection of the session ended, which held this many channels. @param now monotonic. */
  remember(lineage: string, channels: number, now: number): void {
    const grantedAt = this.ended.get(lineage)?.grantedAt ?? Number.NEGATIVE_INFINITY;
    // Removed first, so that the map stays in order of age.
    this.ended.delete(lineage);
    this.ended.set(lineage, { channels, endedAt: now, grantedAt });
    for (const [oldest, { endedAt }] of this.ended) {
      if (this.ended.size <= this.capacity && now - endedAt <= this.keptMs) return;
      this.ended.delete(oldest);
    }
  }

  /** The session continues. @returns the channels that it may subscribe to again at no cost. */
  claim(lineage: string, now: number): number {
    const ended = this.ended.get(lineage);
    if (ended === undefined || now - ended.endedAt > this.keptMs) return 0;
    if (now - ended.grantedAt < this.againAfterMs) return 0;
    const { channels } = ended;
    ended.channels = 0;
    ended.grantedAt = now;
    return channels;
  }
}
