import type { Position } from '../../protocol/position.js';
import { RingBuffer } from './ring.js';

/** What is remembered of one append. */
export interface RememberedId {
  /** As {@link idKey} makes it. */
  readonly key: string;
  /** Result of the first append. */
  readonly position: Position;
  readonly fingerprint: string;
  /** When the id is forgotten, in the broker's milliseconds. */
  readonly until: number;
}

/** How many ids all channels of a store may remember together. Clients choose how fast ids arrive, so there must be a bound. */
export interface IdBudget {
  /** Ids that all windows together hold. */
  used: number;
  readonly max: number;
}

/** The ids that one channel's log remembers (P15, P16). */
export class IdWindow {
  private readonly ids = new Map<string, RememberedId>();
  private readonly order = new RingBuffer<RememberedId>();

  constructor(private readonly budget: IdBudget) {}

  /** Ids in memory, also those whose window is over, until they are trimmed. */
  get size(): number {
    return this.order.length;
  }

  /** Whether the ids of all channels have reached their bound. */
  get isFull(): boolean {
    return this.budget.used >= this.budget.max;
  }

  /** The first append of this id, if it is still inside its window. */
  find(key: string, now: number): RememberedId | undefined {
    const known = this.ids.get(key);
    return known !== undefined && known.until > now ? known : undefined;
  }

  remember(entry: RememberedId): void {
    this.ids.set(entry.key, entry);
    this.order.push(entry);
    this.budget.used += 1;
  }

  /**
   * Forgets ids whose window is over, oldest first, up to the first that still counts. After `dedupeMs` was made shorter
   * some ids stay in memory longer than needed, but `find` does not return them.
   */
  trim(now: number): void {
    for (
      let oldest = this.order.at(0);
      oldest !== undefined && oldest.until <= now;
      oldest = this.order.at(0)
    ) {
      this.order.shift();
      this.forget(oldest);
    }
  }

  /** Forgets the ids of appends after `seq`, newest first: they were lost together with their events. */
  forgetAfter(seq: number): void {
    for (
      let newest = this.order.at(this.order.length - 1);
      newest !== undefined && newest.position.seq > seq;
      newest = this.order.at(this.order.length - 1)
    ) {
      this.order.pop();
      this.forget(newest);
    }
  }

  private forget(entry: RememberedId): void {
    this.budget.used -= 1;
    // The id may have been appended again between the end of its window and this call; the newer entry stays.
    if (this.ids.get(entry.key) === entry) this.ids.delete(entry.key);
  }
}

/**
 * The key of a publish in an {@link IdWindow}. The length keeps pairs apart whose concatenation is the same; both parts may
 * hold any character.
 */
export function idKey(producer: string, id: string): string {
  return `${producer.length}:${producer}${id}`;
}
