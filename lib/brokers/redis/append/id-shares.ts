import type { AppendRequest } from '../../../core/ports/broker.js';
import type { Clock } from '../../../core/ports/clock.js';

/** Shares that all anonymous sessions have together: a client has a new one with every connection. */
const ANONYMOUS_SHARES = 5;

/**
 * How many ids each producer has remembered through this node, in all channels together (P15). Counted here and not in Redis,
 * where it would make every append in a busy channel half as expensive again. None is forgotten before its window ends, so what
 * bounds them is a refusal.
 *
 * Counted in turns as long as the longest window: a count holds for the turn in which it was made and the next one. So do the
 * ids in Redis.
 */
export class IdShares {
  private current = new Map<string, number>();
  private before = new Map<string, number>();
  private began = 0;
  private turnMs = 0;

  /** @param share Most ids of one producer. */
  constructor(
    private readonly clock: Clock,
    private readonly share: number,
  ) {}

  /** Counts the id of an append. @returns When its producer may have one more, in milliseconds, or `undefined`: it may now. */
  take({ producer, policy }: Pick<AppendRequest, 'producer' | 'policy'>): number | undefined {
    // The application is trusted (G4).
    if (policy.dedupeMs <= 0 || producer.startsWith('a:')) return undefined;
    const now = this.clock.monotonic();
    this.turn(now, policy.dedupeMs);
    const anonymous = producer.startsWith('s:');
    const name = anonymous ? 's:' : producer;
    const most = anonymous ? ANONYMOUS_SHARES * this.share : this.share;
    const recent = this.current.get(name) ?? 0;
    if (recent + (this.before.get(name) ?? 0) < most) {
      this.current.set(name, recent + 1);
      return undefined;
    }
    const turns = recent < most ? 1 : 2;
    return Math.max(1, Math.ceil(this.began + turns * this.turnMs - now));
  }

  private turn(now: number, windowMs: number): void {
    if (windowMs > this.turnMs) this.turnMs = windowMs;
    const passed = now - this.began;
    if (passed < this.turnMs) return;
    this.before = passed < 2 * this.turnMs ? this.current : new Map<string, number>();
    this.current = new Map<string, number>();
    this.began = now;
  }
}
