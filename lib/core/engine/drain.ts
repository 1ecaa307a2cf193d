import { CLOSE_CODES } from '../../protocol/close-codes.js';
import type { Session } from '../session/session.js';
import type { Clock } from '../ports/clock.js';
import type { EngineOptions } from '../ports/settings.js';
import type { FlushScheduler } from '../outbox/flush-scheduler.js';
import type { Observer } from '../ports/observer.js';
import type { SessionRegistry } from '../session/registry.js';

/** Share of the deadline over which `bye` is spread; the rest is for what is still queued. */
const PACE = 0.8;
const STEP_MS = 50;
/** How often a drain says how far it is, in milliseconds. */
const PROGRESS_MS = 2_000;

/** What a drain ends, and whom it notifies. */
interface DrainedParts {
  readonly scheduler: Pick<FlushScheduler, 'flushNow'>;
  readonly sessions: Pick<SessionRegistry, 'list' | 'size'>;
  readonly observer: Pick<Observer, 'onDrain'>;
}

/**
 * Ends every session in paced batches (G18): `bye` with the advice when to come back, the answers to what is under
 * way, the queue, the close. Closes those that are left at the deadline.
 */
export async function drainSessions(
  { scheduler, sessions, observer }: DrainedParts,
  { clock, settings, logger }: EngineOptions,
  deadlineMs: number,
): Promise<void> {
  const start = clock.monotonic();
  const leaving = sessions.list();
  const total = leaving.length;
  const progress = new Progress(clock, (passedMs) => {
    observer.onDrain?.(sessions.size, total);
    // A node without clients, as one that could not start, has nothing to say.
    if (total === 0) return;
    logger.log(
      `Draining: ${sessions.size} of ${total} connections are left after ${Math.round(passedMs)} of ${deadlineMs} ms`,
    );
  });
  progress.say();
  const steps = Math.max(1, Math.floor((deadlineMs * PACE) / STEP_MS));
  // A few sessions need no pacing; many are spread, so that they do not all reach the other nodes at once.
  const batch = Math.max(64, Math.ceil(leaving.length / steps));
  for (let index = 0; index < leaving.length; index += batch) {
    for (const session of leaving.slice(index, index + batch)) {
      // Nothing precedes `welcome`: who has none is closed with the same code, and comes back.
      if (session.isLive) sayBye(session, clock, { name: 'drain', spreadMs: settings.drainSpreadMs });
    }
    if (index + batch < leaving.length) await wait(clock, STEP_MS);
    progress.sayIfDue();
    if (clock.monotonic() - start >= deadlineMs) break;
  }
  while (sessions.size > 0 && clock.monotonic() - start < deadlineMs) {
    // Waits first: what was published in this turn is in no queue yet.
    await wait(clock, STEP_MS);
    scheduler.flushNow();
    for (const session of sessions.list()) if (isDone(session)) session.close('drain');
    progress.sayIfDue();
  }
  progress.say();
  for (const session of sessions.list()) session.close('drain');
}

/** Says how far a drain is: when it begins and ends, and in regular times between. */
class Progress {
  private readonly startedAt: number;
  private saidAt = 0;

  constructor(
    private readonly clock: Pick<Clock, 'monotonic'>,
    private readonly onProgress: (passedMs: number) => void,
  ) {
    this.startedAt = clock.monotonic();
  }

  sayIfDue(): void {
    if (this.clock.monotonic() - this.saidAt >= PROGRESS_MS) this.say();
  }

  say(): void {
    this.saidAt = this.clock.monotonic();
    this.onProgress(this.saidAt - this.startedAt);
  }
}

/** A client whose command has run, but not been answered, could not know whether to send it again. */
export function isDone(session: Session): boolean {
  return !session.isAnswering && session.outbox.bufferedBytes === 0;
}

/** Asks a client to come back elsewhere. */
export function sayBye(
  session: Session,
  clock: Pick<Clock, 'now'>,
  { name, spreadMs }: { readonly name: 'drain' | 'rotate'; readonly spreadMs: number },
): void {
  const payload = { code: CLOSE_CODES[name].code, retryAfterMs: 0, spreadMs };
  session.outbox.pushControl({ type: 'bye', ts: clock.now(), payload });
  session.outbox.flush();
}

function wait(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.schedule(ms, resolve));
}
