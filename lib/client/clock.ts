/** A timer that was set and may still be taken back. */
export interface ClientTimer {
  /** Idempotent; a task that already ran is not affected. */
  cancel(): void;
}

/** Time as the client sees it. Tests own it; nothing else in the client reads a clock or sets a timer. */
export interface ClientClock {
  /** Milliseconds since the Unix epoch. Must not go back: ages of publishes are measured with it (P17). */
  now(): number;
  /** Runs `task` once, not before `delayMs` milliseconds. */
  schedule(delayMs: number, task: () => void): ClientTimer;
}

/** Largest delay that timers take; a longer one would fire at once. */
const MAX_TIMER_MS = 2_147_483_647;
/** From here on a difference between the two clocks below is a sleep or a step, not their rounding. */
const SLEEP_MS = 1_000;

/**
 * The clock of the machine. It never goes back when the wall clock is set back, and it does go on while the
 * machine sleeps, where `performance.now()` stands still: a publish must not look younger than the server's
 * dedupe window thinks it is (P17, G4).
 */
export function systemClientClock(): ClientClock {
  let wall = Date.now();
  let steady = performance.now();
  let offset = wall - steady;
  return {
    now() {
      const passed = performance.now() - steady;
      const slept = Date.now() - wall - passed;
      wall = Date.now();
      steady += passed;
      if (slept > SLEEP_MS) offset += slept;
      return steady + offset;
    },
    schedule(delayMs, task) {
      const timer = setTimeout(task, Math.min(Math.max(0, delayMs), MAX_TIMER_MS));
      return { cancel: () => clearTimeout(timer) };
    },
  };
}
