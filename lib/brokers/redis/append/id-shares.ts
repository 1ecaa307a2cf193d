import type { AppendRequest } from '../../../core/ports/broker.js';
import type { Clock } from '../../../core/ports/clock.js';

/** Shares that all anonymous sessions have together: a client has a new one with every connection. */
const ANONYMOUS_SHARES = 5;

/**
 * How many ids each producer has remembered through this node, in all channels together (P15). Counted here and not in Redis,
 * where it would make every append in a busy channel half as expensive again. None is forgotten before its window ends, so what
 * bounds them is a refusal.
 *
 * Counted in turns as long as the window: a count holds for the turn in which it was made and the next one. So do the ids in
 * Redis. Windows of different lengths have turns of their own.
 */
export class IdShares {
  /** One for each length, of which an application has few. */
  private readonly windows: IdWindow[] = [];

  /** @param share Most ids of one producer. */
  constructor(
    private readonly clock: Clock,
    private readonly share: number,
  ) {}

  /**
   * Counts the id of an append.
   *
   * @returns The count, to be given back when no id is remembered after all; or when the producer may have one more, in
   * milliseconds; or `undefined` where nothing is counted.
   */
  take({ producer, policy }: Pick<AppendRequest, 'producer' | 'policy'>): CountedId | number | undefined {
    // The application is trusted (G4).
    if (policy.dedupeMs <= 0 || producer.startsWith('a:')) return undefined;
    const now = this.clock.monotonic();
    const anonymous = producer.startsWith('s:');
    const name = anonymous ? 's:' : producer;
    let left = anonymous ? ANONYMOUS_SHARES * this.share : this.share;
    let own: IdWindow | undefined;
    for (const window of this.windows) {
      window.turn(now);
      left -= window.countOf(name);
      if (window.ms === policy.dedupeMs) own = window;
    }
    if (left <= 0) return this.retryAfter(name, 1 - left, now);
    if (own === undefined) {
      own = new IdWindow(policy.dedupeMs, now);
      this.windows.push(own);
    }
    return own.add(name);
  }

  /** When so many ids of a producer have ended, in milliseconds. */
  private retryAfter(name: string, count: number, now: number): number {
    const ends = this.windows
      .flatMap((window) => window.endsOf(name))
      .sort((one, other) => one.at - other.at);
    let left = count;
    const last = ends.find((end) => (left -= end.count) <= 0);
    return Math.max(1, Math.ceil((last?.at ?? now) - now));
  }
}

/** An id that was counted for its producer. */
export class CountedId {
  constructor(
    private readonly counts: Map<string, number>,
    private readonly name: string,
  ) {}

  /** Gives the count back: nothing is remembered of this append. To be called once. */
  giveBack(): void {
    const count = this.counts.get(this.name) ?? 0;
    if (count > 1) this.counts.set(this.name, count - 1);
    else this.counts.delete(this.name);
  }
}

/** Counts of ids whose windows have one length. */
class IdWindow {
  private current = new Map<string, number>();
  private before = new Map<string, number>();

  constructor(
    readonly ms: number,
    private began: number,
  ) {}

  turn(now: number): void {
    const passed = now - this.began;
    if (passed < this.ms) return;
    this.before = passed < 2 * this.ms ? this.current : new Map<string, number>();
    this.current = new Map<string, number>();
    this.began = now;
  }

  countOf(name: string): number {
    return (this.current.get(name) ?? 0) + (this.before.get(name) ?? 0);
  }

  add(name: string): CountedId {
    this.current.set(name, (this.current.get(name) ?? 0) + 1);
    return new CountedId(this.current, name);
  }

  /** How many ids end when. */
  endsOf(name: string): readonly { readonly at: number; readonly count: number }[] {
    return [
      { at: this.began + this.ms, count: this.before.get(name) ?? 0 },
      { at: this.began + 2 * this.ms, count: this.current.get(name) ?? 0 },
    ];
  }
}
