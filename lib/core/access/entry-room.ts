import { WaitingLines } from '../async/waiting-lines.js';
import type { Clock, Scheduled } from '../ports/clock.js';
import type { Handshake } from '../ports/connection.js';
import type { MaybePromise } from '../ports/maybe-promise.js';
import { RateLimit } from './rate-limit.js';

export interface EntryRoomDeps {
  readonly clock: Clock;
  /** New connections a second; twice as many at once. */
  readonly ratePerSecond: number;
  /** Longest wait, in milliseconds. */
  readonly maxWaitMs: number;
  /** Bytes of what waits. */
  readonly maxWaitingBytes: number;
}

/**
 * A rate of new connections that all addresses share. What comes above it waits in the line of its address, and addresses take turns:
 * who comes with many connections waits for longer than who comes with one.
 */
export class EntryRoom {
  private readonly rate: RateLimit;
  private readonly lines: WaitingLines;
  /** Addresses with a line, in the order of their turns. */
  private readonly turns = new Set<string>();
  private fullAt = 0;
  private timer: Scheduled | undefined;

  constructor(private readonly deps: EntryRoomDeps) {
    const { clock, ratePerSecond, maxWaitMs, maxWaitingBytes } = deps;
    this.rate = new RateLimit(ratePerSecond, 2 * ratePerSecond);
    this.lines = new WaitingLines({
      clock,
      maxBytes: maxWaitingBytes,
      // Who would wait too long does not wait at all. A wait that is computed may end later, where timers are late.
      maxWaitMs: 2 * maxWaitMs,
      onLineEnd: (network) => {
        this.turns.delete(network);
        if (this.turns.size > 0) return;
        this.timer?.cancel();
        this.timer = undefined;
      },
    });
  }

  /** How many wait. */
  get waiting(): number {
    return this.lines.size;
  }

  /**
   * Waits for a turn.
   *
   * @param bytes that are kept meanwhile.
   * @param patienceMs longest wait of this one.
   * @returns `undefined` where it is its turn; else milliseconds until there may be room.
   */
  enter(handshake: Handshake, bytes: number, patienceMs: number): MaybePromise<number | undefined> {
    const { network } = handshake;
    const now = this.deps.clock.monotonic();
    if (this.lines.size === 0 && this.take(now)) return undefined;
    const waitMs = this.waitFor(network, now);
    // Who would wait too long is refused at once.
    const turn = waitMs > patienceMs ? undefined : this.lines.join(network, handshake, bytes);
    if (turn === undefined) return waitMs;
    this.turns.add(network);
    this.watch();
    return turn.then((end) => (end === 'served' ? undefined : waitMs));
  }

  /** The client of a handshake is gone. */
  leave(handshake: Handshake): void {
    this.lines.leave(handshake);
  }

  private take(now: number): boolean {
    const after = this.rate.take(this.fullAt, 1, now);
    if (after === undefined) return false;
    this.fullAt = after;
    return true;
  }

  /** As long as it takes where the addresses that wait take turns. */
  private waitFor(network: string, now: number): number {
    const own = this.lines.lengthOf(network);
    const addresses = this.turns.size + (own === 0 ? 1 : 0);
    const ahead = Math.min(this.lines.size, (own + 1) * addresses - 1);
    return this.rate.waitFor(this.fullAt, 1, now) + (ahead * 1_000) / this.deps.ratePerSecond;
  }

  private watch(): void {
    if (this.timer !== undefined || this.turns.size === 0) return;
    const { clock } = this.deps;
    const waitMs = Math.max(1, Math.ceil(this.rate.waitFor(this.fullAt, 1, clock.monotonic())));
    this.timer = clock.schedule(waitMs, () => {
      this.timer = undefined;
      const now = clock.monotonic();
      for (const network of this.turns) {
        if (!this.take(now)) break;
        // The address goes to the end of the turns, which this loop comes to again.
        this.turns.delete(network);
        this.turns.add(network);
        this.lines.serve(network);
      }
      this.watch();
    });
  }
}
