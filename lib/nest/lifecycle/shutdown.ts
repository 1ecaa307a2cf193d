import { TimeLeft } from '../../core/async/time-left.js';
import { systemClock } from '../../core/ports/clock.js';

/**
 * What a shutdown takes beyond `drain.deadline` where nothing answers, in milliseconds: the end of the clients, beside that of the
 * hooks; then the broker; then the audit.
 */
export const TAIL_MS = 5_000;
/** What of it is kept for the broker and the audit while clients leave and hooks end. */
export const KEPT_FOR_BROKER_MS = 3_000;
/** What of it is kept for the audit, which has the last word. */
export const KEPT_FOR_AUDIT_MS = 1_000;
/** What each has where the application's own hooks took the time. */
export const LEAST_MS = 1_000;

/** What consumers may take for the records that are under way, beside the drain of the clients. */
export const CONSUMERS_MS = 5_000;

/** Any: the timer does nothing. */
const EVERY_MS = 1_000;

/** The time of a shutdown that begins now. */
export function timeOfShutdown(drainDeadlineMs: number): TimeLeft {
  return new TimeLeft(systemClock, drainDeadlineMs + TAIL_MS);
}

/**
 * Keeps the process alive while work of a shutdown is under way. No timer of the library does (see `Clock.schedule`), so once the HTTP
 * server is closed, nothing else may be left: Node would exit in the middle of it, without a word.
 *
 * @param work must end by itself within its deadline.
 */
export async function stayAlive<T>(work: () => Promise<T>): Promise<T> {
  const alive = setInterval(() => undefined, EVERY_MS);
  try {
    return await work();
  } finally {
    clearInterval(alive);
  }
}
