import type { Clock, Scheduled } from '../../../lib/core/ports/clock.js';

/** Where the wall clock is, in milliseconds ahead of what it should be, after each move of time in turn. */
const JUMPS = [3_600_000, -3_600_000, 0];

interface Task {
  readonly due: number;
  readonly order: number;
  readonly run: () => void;
}

/**
 * A clock that stands still until a test moves it. Tasks run inside `advance`, in the order of their time and,
 * at the same time, in the order in which they were scheduled; `now()` is the task's own time while it runs.
 *
 * The wall clock jumps by an hour, forth and back, whenever time moves: no duration may be computed from it. A test that
 * compares a timestamp asks this clock's `now()` at the same moment.
 *
 * @example
 * const clock = new ManualClock();
 * clock.schedule(100, () => closed.push(clock.now()));
 * clock.advance(100);
 */
export class ManualClock implements Clock {
  private readonly tasks = new Set<Task>();
  private time: number;
  private skew = 0;
  private scheduled = 0;
  private moves = 0;
  /** What the wall clock is ahead of its due time by the jumps of this class. */
  private jumped = 0;

  /** @param start Milliseconds since the Unix epoch; by default 2026-01-01T00:00:00Z. */
  constructor(start = 1_767_225_600_000) {
    this.time = start;
  }

  /** Tasks that wait: 0 after a clean `close()`. */
  get pending(): number {
    return this.tasks.size;
  }

  /** Milliseconds until the next task is due, or `undefined` when none waits. */
  get untilNext(): number | undefined {
    const next = this.next();
    return next === undefined ? undefined : Math.max(0, next.due - this.time);
  }

  now(): number {
    return this.time + this.skew;
  }

  monotonic(): number {
    return this.time;
  }

  schedule(delayMs: number, run: () => void): Scheduled {
    const task: Task = { due: this.time + Math.max(0, delayMs), order: this.scheduled++, run };
    this.tasks.add(task);
    return { cancel: () => void this.tasks.delete(task) };
  }

  /** Moves time on by `ms` and runs what is due, including what those tasks schedule inside the span. */
  advance(ms: number): void {
    this.jumpAbout();
    const end = this.time + ms;
    for (let task = this.next(); task !== undefined && task.due <= end; task = this.next()) {
      this.tasks.delete(task);
      this.time = Math.max(this.time, task.due);
      task.run();
    }
    this.time = end;
  }

  /**
   * Like `advance`, but lets promises settle before the span and after each task: for code that awaits between
   * timers. Tasks that are scheduled by a promise inside the span run inside it too.
   */
  async advanceAsync(ms: number): Promise<void> {
    this.jumpAbout();
    const end = this.time + ms;
    await settle();
    for (let task = this.next(); task !== undefined && task.due <= end; task = this.next()) {
      this.tasks.delete(task);
      this.time = Math.max(this.time, task.due);
      task.run();
      await settle();
    }
    this.time = end;
  }

  /**
   * Moves both clocks without running anything: the machine sleeps, or the process stands still. Timers that became due run
   * with the next `advance`, late.
   */
  sleep(ms: number): void {
    this.time += ms;
  }

  /** Moves the wall clock without running anything: what an operator or NTP does to a host (clock skew). */
  jump(ms: number): void {
    this.skew += ms;
  }

  /** An hour ahead, an hour behind, right, and so on. */
  private jumpAbout(): void {
    const to = JUMPS[this.moves++ % JUMPS.length] ?? 0;
    this.jump(to - this.jumped);
    this.jumped = to;
  }

  private next(): Task | undefined {
    let best: Task | undefined;
    for (const task of this.tasks) {
      if (best === undefined || task.due < best.due || (task.due === best.due && task.order < best.order))
        best = task;
    }
    return best;
  }
}

/** Lets everything that is already resolved run: a macrotask, so any number of chained microtasks. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
