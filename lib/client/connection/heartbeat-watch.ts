import type { ClientClock, ClientTimer } from '../clock.js';

/** How often the clock is looked at, to notice that the machine slept or the process stood still. */
const TICK_MS = 2_000;
/** A timer that fires later than this was held back. */
const LATE_MS = 1_000;
/** How long a doubted server, or network, has to answer. */
export const DOUBT_MS = 2_000;

/** What a {@link watchHeartbeat} needs of its connection. */
export interface HeartbeatEvents {
  /** Sends a ping. @returns Its id. */
  ping(): string;
  /** @param doubted Whether a ping went unanswered; otherwise nothing was heard for `intervalMs + timeoutMs`. */
  dead(doubted: boolean): void;
}

/** The watch over one connection. */
export interface HeartbeatWatch {
  /** A frame came: any frame is a sign of life. */
  heard(): void;
  /** A pong came. @returns How long its ping took, in milliseconds, where it is the one that is waited for. */
  answered(ref: string | undefined): number | undefined;
  /** There is reason to think that the connection is dead: it has {@link DOUBT_MS} to answer a ping. */
  check(): void;
  stop(): void;
}

/**
 * Notices a connection on which nothing is heard for `intervalMs + timeoutMs` (P9), and one that does not answer when there
 * is reason to doubt it. A received frame costs one assignment: a timer looks when the last one came.
 */
export function watchHeartbeat(
  clock: ClientClock,
  { intervalMs, timeoutMs }: { readonly intervalMs: number; readonly timeoutMs: number },
  events: HeartbeatEvents,
): HeartbeatWatch {
  const silenceMs = intervalMs + timeoutMs;
  let heardAt = clock.monotonic();
  let dueAt: number;
  let timer: ClientTimer | undefined;
  let doubt: { readonly since: number; readonly id: string } | undefined;

  function checkIn(delayMs: number): void {
    timer?.cancel();
    dueAt = clock.monotonic() + delayMs;
    timer = clock.schedule(delayMs, tick);
  }

  function check(): void {
    if (doubt !== undefined) return;
    doubt = { since: clock.monotonic(), id: events.ping() };
    checkIn(DOUBT_MS);
  }

  function tick(): void {
    const now = clock.monotonic();
    const isLate = now - dueAt > LATE_MS;
    // What is read right after a sleep may have come long before: only a later frame is a sign of life.
    if (doubt !== undefined && heardAt - doubt.since > LATE_MS) doubt = undefined;
    if (doubt !== undefined) {
      const doubted = now - doubt.since;
      // Held back again, what came is still unread.
      if (doubted < DOUBT_MS) checkIn(DOUBT_MS - doubted);
      else if (isLate && doubted < silenceMs) checkIn(LATE_MS);
      else events.dead(true);
      return;
    }
    // A hidden page's timers are held back too, but its frames are read.
    const wasAwake = heardAt > dueAt && now - heardAt > LATE_MS;
    const left = heardAt + silenceMs - now;
    if (isLate && !wasAwake) check();
    else if (left <= 0) events.dead(false);
    else checkIn(Math.min(TICK_MS, left));
  }

  checkIn(Math.min(TICK_MS, silenceMs));
  return {
    heard() {
      heardAt = clock.monotonic();
    },
    answered(ref) {
      if (doubt === undefined || ref !== doubt.id) return undefined;
      const tookMs = clock.monotonic() - doubt.since;
      doubt = undefined;
      return tookMs;
    },
    check,
    stop: () => timer?.cancel(),
  };
}
