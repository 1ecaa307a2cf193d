/** A task that was scheduled. */
export interface ClientTimer {
  /** Cancels the task. It has no effect once the task ran. */
  cancel(): void;
}

/** Time as the client sees it. Nothing else in the client reads a clock or sets a timer, so tests can own time. */
export interface ClientClock {
  /**
   * Milliseconds since an arbitrary moment. Never goes back, and counts the time for which the machine sleeps: the ages of
   * publishes are measured with it (P17).
   */
  monotonic(): number;
  /** Runs `task` once, not before `delayMs` milliseconds. */
  schedule(delayMs: number, task: () => void): ClientTimer;
}

/** The largest delay that timers take; a longer one would fire at once. */
const MAX_TIMER_MS = 2_147_483_647;
/** What the wall clock may be ahead of the steady one without a sleep: rounding, and the corrections of NTP. */
const SLEEP_MS = 1_000;

/**
 * The clock of the machine. It counts the time that the machine sleeps, which `performance.now()` does not on most systems: a
 * publish must not look younger than it is to the server's dedupe window (P17).
 *
 * A sleep shows as a wall clock that went further than the steady one. So does one that is set forth, and a page cannot tell
 * them apart: it counts as a sleep, after which a publish that is not acknowledged yet may be reported as `outcome_unknown`,
 * but is never appended twice. A wall clock that is set back changes nothing.
 */
export function systemClientClock(): ClientClock {
  // The first reading counts as a sleep, which moves nothing but the arbitrary start.
  let steady = 0;
  let wall = 0;
  let slept = 0;
  /** Of many short sleeps none is long enough to be seen alone. */
  let ahead = 0;
  return {
    monotonic() {
      const [steadyNow, wallNow] = [performance.now(), Date.now()];
      const lead = wallNow - wall - (steadyNow - steady);
      [steady, wall] = [steadyNow, wallNow];
      if (lead > SLEEP_MS) slept += lead;
      else if (lead > -SLEEP_MS) ahead = Math.max(-SLEEP_MS, ahead + lead);
      if (ahead > SLEEP_MS) {
        slept += ahead;
        ahead = 0;
      }
      return steady + slept;
    },
    schedule(delayMs, task) {
      const timer = setTimeout(task, Math.min(Math.max(0, delayMs), MAX_TIMER_MS));
      return { cancel: () => clearTimeout(timer) };
    },
  };
}
