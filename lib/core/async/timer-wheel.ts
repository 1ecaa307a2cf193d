import type { Clock, Scheduled } from '../ports/clock.js';
import type { Stalls } from './stalls.js';

/** An object with a timer. */
export interface Timed {
  onTimer(): void;
}

const SLOTS = 512;

/**
 * Coarse timers for what every session has (heartbeat, hello, token): one timer of the process drives all of them, and each
 * costs no more than a list entry. A task runs at most one tick late, never early; after a stall of the process one tick more.
 */
export class TimerWheel {
  private readonly slots: WheelEntry[][] = Array.from({ length: SLOTS }, () => []);
  private tick: number;
  private size = 0;
  private running: Scheduled | undefined;
  /** Monotonic time at which `running` is due. */
  private dueAt = 0;
  /** Whether the last tick ran nothing, because the process had stood still. */
  private hasWaited = false;
  /**
   * Monotonic time of the last tick, or of now when nothing is scheduled, in whole milliseconds: cheap to read on the hot
   * path. A 32-bit number that wraps around, since a small integer is stored in the session itself, without an object. Compare
   * it with {@link since}.
   */
  stamp = 0;

  /** @param granularityMs length of a tick in milliseconds. @param stalls learns when a tick was due. */
  constructor(
    private readonly clock: Clock,
    private readonly granularityMs: number,
    private readonly stalls?: Pick<Stalls, 'noteTimer'>,
  ) {
    this.tick = Math.floor(this.readClock() / granularityMs);
  }

  /** Milliseconds since a stamp of at most 24 days ago. */
  since(stamp: number): number {
    return (this.stamp - stamp) | 0;
  }

  schedule(delayMs: number, timed: Timed): Scheduled {
    const empty = this.size === 0;
    const now = empty ? this.readClock() : this.clock.monotonic();
    if (empty) this.tick = Math.floor(now / this.granularityMs);
    const dueTick = Math.max(Math.ceil((now + delayMs) / this.granularityMs), this.tick + 1);
    const entry = new WheelEntry(timed, dueTick, this);
    (this.slots[dueTick % SLOTS] as WheelEntry[]).push(entry);
    this.size++;
    if (this.running === undefined) this.wait(now);
    return entry;
  }

  /** Cancels everything that is scheduled. */
  stop(): void {
    this.running?.cancel();
    this.running = undefined;
    for (const slot of this.slots) slot.length = 0;
    this.size = 0;
  }

  /** @internal */
  release(): void {
    this.size--;
  }

  private readonly onTick = (): void => {
    this.running = undefined;
    const isLate = this.stalls?.noteTimer(this.dueAt) === true;
    this.hasWaited = isLate && !this.hasWaited;
    // What clients sent in time is read before anything of theirs expires.
    if (this.hasWaited) return this.wait(this.readClock());
    const target = Math.floor(this.readClock() / this.granularityMs);
    // After a stall of the event loop, one round over the slots finds everything that is due.
    const first = Math.max(this.tick + 1, target - SLOTS + 1);
    this.tick = Math.max(this.tick, target);
    for (let tick = first; tick <= target; tick++) this.runSlot(tick % SLOTS, target);
    if (this.size > 0 && this.running === undefined) this.wait(this.clock.monotonic());
  };

  private wait(now: number): void {
    this.dueAt = now + this.granularityMs;
    this.running = this.clock.schedule(this.granularityMs, this.onTick);
  }

  private readClock(): number {
    const now = this.clock.monotonic();
    this.stamp = Math.floor(now) | 0;
    return now;
  }

  private runSlot(index: number, target: number): void {
    const slot = this.slots[index] as WheelEntry[];
    if (slot.length === 0) return;
    this.slots[index] = [];
    for (const entry of slot) {
      if (entry.cancelled) continue;
      if (entry.dueTick > target) {
        this.slots[index].push(entry);
        continue;
      }
      this.size--;
      entry.run();
    }
  }
}

class WheelEntry implements Scheduled {
  constructor(
    /** Released as soon as it ran or was cancelled: the entry itself stays in its slot until the wheel comes around. */
    private timed: Timed | undefined,
    readonly dueTick: number,
    private readonly wheel: TimerWheel,
  ) {}

  get cancelled(): boolean {
    return this.timed === undefined;
  }

  run(): void {
    const { timed } = this;
    this.timed = undefined;
    timed?.onTimer();
  }

  cancel(): void {
    if (this.cancelled) return;
    this.timed = undefined;
    this.wheel.release();
  }
}
