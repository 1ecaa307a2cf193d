import { trimOldest } from '../../core/async/oldest.js';
import type { Clock } from '../../core/ports/clock.js';

/** Most ids that no node knew, of one address in the time of {@link WINDOW_MS}. */
const MAX_UNKNOWN = 200;
const WINDOW_MS = 10_000;
/** Most addresses of which ids are counted. */
const MAX_ADDRESSES = 10_000;
/** Most sessions that are remembered as known to their nodes. */
const MAX_KNOWN = 20_000;

interface Misses {
  count: number;
  readonly endsAt: number;
}

/**
 * Bounds what guessed ids cost the other nodes: each is carried there to learn that it is none. Sessions that their nodes knew are not
 * held up by who guesses at the same address.
 */
export class UnknownIds {
  /** In the order of their ends. */
  private readonly addresses = new Map<string, Misses>();
  /** The one that was asked for last is the last. */
  private readonly known = new Set<string>();

  constructor(private readonly clock: Pick<Clock, 'monotonic'>) {}

  /** Whether a node may be asked for this id. */
  mayAsk(id: string, network: string): boolean {
    return this.known.has(id) || (this.missesOf(network)?.count ?? 0) < MAX_UNKNOWN;
  }

  /** Its node knew it. */
  noteKnown(id: string): void {
    this.known.delete(id);
    this.known.add(id);
    trimOldest(this.known, MAX_KNOWN);
  }

  /** Its node knew nothing of it, or no longer. */
  noteUnknown(id: string, network: string): void {
    // One that has ended was no guess.
    if (this.known.delete(id)) return;
    const misses = this.missesOf(network);
    if (misses !== undefined) {
      misses.count++;
      return;
    }
    this.addresses.delete(network);
    this.addresses.set(network, { count: 1, endsAt: this.clock.monotonic() + WINDOW_MS });
    trimOldest(this.addresses, MAX_ADDRESSES);
  }

  private missesOf(network: string): Misses | undefined {
    const misses = this.addresses.get(network);
    return misses !== undefined && misses.endsAt > this.clock.monotonic() ? misses : undefined;
  }
}
