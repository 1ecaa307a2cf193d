import { performance } from 'node:perf_hooks';

/** A scheduled task, which may be cancelled until it runs. */
export interface Scheduled {
  /** Idempotent; a task that already ran is not affected. */
  cancel(): void;
}

/**
 * Time as the engine sees it. Tests own it; nothing in the core calls `Date.now()` or `setTimeout` itself.
 *
 * Everything that is compared or subtracted is read from `monotonic()`: an operator, NTP or a virtual machine that wakes
 * sets the other one forth and back. The rule `realtime/wall-clock` of the linter says where `now()` may be read.
 */
export interface Clock {
  /** The wall clock, in milliseconds since the Unix epoch. For timestamps that people or clients read, and for nothing else. */
  now(): number;
  /**
   * Milliseconds since an arbitrary moment; unlike the wall clock it never goes back and never jumps. All parts of a process
   * share that moment: a broker hands times of it to its node (`ChannelEvent.expiresAt`), so both must have the
   * same clock.
   */
  monotonic(): number;
  /** Runs `task` once, not before `delayMs` milliseconds. Never keeps the process alive. */
  schedule(delayMs: number, task: () => void): Scheduled;
}

/** Largest delay that Node's timers take; a longer one would fire at once. */
const MAX_TIMER_MS = 2_147_483_647;

/** The clock of the operating system. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  schedule(delayMs, task) {
    const timer = setTimeout(task, Math.min(Math.max(0, delayMs), MAX_TIMER_MS));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
