import type { Clock, Scheduled } from '../../../core/ports/clock.js';

/** Time to take in what has arrived, after an event loop that stood still. */
const READ_MS = 20;

/**
 * A deadline for an answer. When the event loop stood still, timers run before sockets are read: the answer may be there,
 * so it is looked for once more before the deadline counts.
 */
export function answerBy(clock: Clock, ms: number, onMissed: () => void): Scheduled {
  let cancelled = false;
  let timer = clock.schedule(ms, () => {
    setImmediate(() => {
      if (!cancelled) timer = clock.schedule(READ_MS, onMissed);
    });
  });
  return {
    cancel() {
      cancelled = true;
      timer.cancel();
    },
  };
}
