import { CLOSE_CODES } from '../../protocol/close-codes.js';
import type { Session } from '../session/session.js';
import type { Clock } from '../ports/clock.js';
import type { EngineOptions } from '../ports/settings.js';
import type { FlushScheduler } from '../outbox/flush-scheduler.js';
import type { Observer } from '../ports/observer.js';
import type { SessionRegistry } from '../session/registry.js';

/** Share of the deadline over which `bye` is spread at most; the rest is for what is still queued. */
const PACE = 0.8;
const STEP_MS = 50;
/** Sessions that are ended in one step at least: a few need no pacing. */
const STEP_SIZE = 4;
/** How many more than in an even step there are while a node makes up for what it is late: others meet all of them at once. */
const CATCH_UP = 1.5;
/** Over how long those of one step come back, in milliseconds. They are paced here, so it may be short. */
const SPREAD_MS = 250;
/** How often a drain says how far it is, in milliseconds. */
const PROGRESS_MS = 2_000;

/** What a drain ends, and whom it notifies. */
interface DrainedParts {
  readonly scheduler: Pick<FlushScheduler, 'flushNow'>;
  readonly sessions: Pick<SessionRegistry, 'list' | 'size'>;
  readonly observer: Pick<Observer, 'onDrain'>;
}

/**
 * Ends every session in paced batches (G18): `bye`, the answers to what is under way, the queue, the close. Until its turn a session is
 * sent events, so that its client is without them only while it reconnects. Closes those that are left at the deadline.
 */
export async function drainSessions(
  { scheduler, sessions, observer }: DrainedParts,
  { clock, settings, logger }: EngineOptions,
  deadlineMs: number,
): Promise<void> {
  const start = clock.monotonic();
  const waiting = sessions.list();
  const total = waiting.length;
  const progress = new Progress(clock, (passedMs) => {
    observer.onDrain?.(sessions.size, total);
    // A node without clients, as one that could not start, has nothing to say.
    if (total === 0) return;
    logger.log(
      `Draining: ${sessions.size} of ${total} connections are left after ${Math.round(passedMs)} of ${deadlineMs} ms`,
    );
  });
  progress.say();
  const paceMs = deadlineMs * PACE;
  const windowMs = Math.min(settings.drainSpreadMs, paceMs);
  const largest = Math.max(STEP_SIZE, Math.ceil((total * STEP_MS * CATCH_UP) / windowMs));
  const spreadMs = Math.min(settings.drainSpreadMs, SPREAD_MS);
  const leaving = new Set<Session>();
  let asked = 0;
  while (sessions.size > 0 && clock.monotonic() - start < deadlineMs) {
    // By the time that has passed: a node that is late makes up for it, and has asked everybody before the deadline.
    const passedMs = clock.monotonic() - start + STEP_MS;
    const even = Math.max(asked + STEP_SIZE, Math.ceil(total * Math.min(1, passedMs / windowMs)));
    const due = passedMs < paceMs ? Math.min(even, asked + largest) : total;
    for (const session of waiting.slice(asked, due)) {
      leaving.add(session);
      // Nothing precedes `welcome`: who has none is closed with the same code, and comes back.
      if (session.isLive) sayBye(session, clock, { name: 'drain', spreadMs });
    }
    asked = Math.min(due, total);
    // Waits first: what was published in this turn is in no queue yet.
    await wait(clock, STEP_MS);
    scheduler.flushNow();
    for (const session of asked < total ? leaving : sessions.list()) {
      if (!isDone(session)) continue;
      leaving.delete(session);
      session.close('drain');
    }
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
