import type { Position } from '../../protocol/position.js';
import { RingBuffer } from './ring.js';

/** What is remembered of one append. */
export interface RememberedId {
  /** Of {@link idKey}. */
  readonly key: string;
  /** Result of the first append. */
  readonly position: Position;
  readonly fingerprint: string;
  /** When the id is forgotten, in the broker's milliseconds. */
  readonly until: number;
}

/** Room for ids, shared by all channels of a store: ids come at the rate of the clients, so their number needs a bound. */
export class IdBudget {
  private used = 0;

  /** @param max Ids that all windows together may hold. */
  constructor(readonly max: number) {}

  get isSpent(): boolean {
    return this.used >= this.max;
  }

  take(): void {
    this.used += 1;
  }

  giveBack(): void {
    this.used -= 1;
  }
}

/** The ids that one channel's log remembers (P15, P16). */
export class IdWindow {
  private readonly ids = new Map<string, RememberedId>();
  private readonly order = new RingBuffer<RememberedId>();

  constructor(private readonly budget: IdBudget) {}

  /** Ids in memory, those past their window included until they are trimmed. */
  get size(): number {
    return this.order.length;
  }

  /** The first append of this id, if it is still inside its window. */
  find(key: string, now: number): RememberedId | undefined {
    const known = this.ids.get(key);
    return known !== undefined && known.until > now ? known : undefined;
  }

  remember(entry: RememberedId): void {
    this.ids.set(entry.key, entry);
    this.order.push(entry);
    this.budget.take();
  }

  /**
   * Forgets what is past its window. Oldest first, and only up to the first that still counts: after `dedupeMs` was
   * made shorter some ids stay in memory longer than needed, but `find` never returns them.
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

  /** Forgets the ids of appends behind `seq`, newest first: they were lost together with their events. */
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
    this.budget.giveBack();
    // The id may have been appended again after its window and before this call: then the newer entry stays.
    if (this.ids.get(entry.key) === entry) this.ids.delete(entry.key);
  }
}

/**
 * What an {@link IdWindow} knows a publish by. The length keeps two pairs apart whose concatenation is the same; both
 * parts may hold any character.
 */
export function idKey(producer: string, id: string): string {
  return `${producer.length}:${producer}${id}`;
}
