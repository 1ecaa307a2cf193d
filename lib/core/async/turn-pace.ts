import type { Clock } from '../ports/clock.js';

/** How long work of one kind may take in one turn of the event loop before the rest of it waits, in milliseconds. */
const TURN_MS = 8;

/**
 * Spreads work over turns of the event loop that many clients can ask for at the same time, so that the others are served in
 * between. While little comes, nothing waits.
 */
export class TurnPace {
  /** Monotonic time of the first work of this turn. */
  private startedAt: number | undefined;
  /** In their order. */
  private readonly waiting = new Set<() => void>();

  constructor(private readonly clock: Clock) {}

  /** Called before the work. @returns when it may be done; `undefined` for now. */
  turn(): Promise<void> | undefined {
    const now = this.clock.monotonic();
    if (this.startedAt === undefined) {
      this.startedAt = now;
      setImmediate(this.next);
    }
    if (this.waiting.size === 0 && now - this.startedAt < TURN_MS) return undefined;
    return new Promise((resolve) => this.waiting.add(resolve));
  }

  /** One for each turn, however long it takes: what it does is not done when it is called. */
  private readonly next = (): void => {
    const [first] = this.waiting;
    if (first === undefined) {
      this.startedAt = undefined;
      return;
    }
    this.waiting.delete(first);
    setImmediate(this.next);
    first();
  };
}
