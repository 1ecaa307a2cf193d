/** A task that was scheduled. */
export interface ClientTimer {
  /** Cancels the task. It has no effect once the task ran. */
  cancel(): void;
}

/** Time as the client sees it. Nothing else in the client reads a clock or sets a timer, so tests can own time. */
export interface ClientClock {
  /** Milliseconds since the Unix epoch. Must not go back: the ages of publishes are measured with it (P17). */
  now(): number;
  /** Runs `task` once, not before `delayMs` milliseconds. */
  schedule(delayMs: number, task: () => void): ClientTimer;
}

/** The largest delay that timers take; a longer one would fire at once. */
const MAX_TIMER_MS = 2_147_483_647;
/** A difference between the two clocks below of this much or more is a sleep or a step, not their rounding. */
const SLEEP_MS = 1_000;

/**
 * The clock of the machine. It does not go back when the wall clock is set back, and it counts the time that the
 * machine sleeps, which `performance.now()` does not: a publish must not look younger than it is to the server's dedupe
 * window (P17).
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
