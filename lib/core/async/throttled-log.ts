import type { Clock } from '../ports/clock.js';
import type { EngineLogger, LogSubject } from '../ports/logger.js';

/** Shortest time between two lines of one kind, in milliseconds. */
const INTERVAL_MS = 10_000;
/** Most kinds that are told apart; lines of further ones share one. */
const MAX_KINDS = 256;
const OTHERS = 'others';

/** Lines of one kind. */
interface Kind {
  /** Monotonic time of the last line. */
  loggedAt: number;
  /** Lines that were left out since. */
  left: number;
}

/**
 * Logs what clients can cause. A public socket must not be able to flood the log, so of each kind one line in ten seconds is
 * written, with the number of those that were left out.
 */
export class ThrottledLog {
  private readonly kinds = new Map<string, Kind>();

  constructor(
    private readonly logger: Pick<EngineLogger, 'debug' | 'warn' | 'error'>,
    private readonly clock: Clock,
  ) {}

  /**
   * @param kind a fixed name, or one that the application chose, never what a client sent.
   * @param message made only if it is written.
   * @param about the connection that the line is about, where there is one.
   */
  warn(kind: string, message: () => string, about?: LogSubject): void {
    const left = this.take(kind);
    if (left !== undefined) this.logger.warn(message() + left, about);
  }

  /** The same for developers: what any client may cause without doing harm. The parameters are those of {@link warn}. */
  debug(kind: string, message: () => string, about?: LogSubject): void {
    const left = this.take(kind);
    if (left !== undefined) this.logger.debug(message() + left, about);
  }

  /** The same with an error. The parameters are those of {@link warn}. */
  error(kind: string, message: () => string, error?: unknown, about?: LogSubject): void {
    const left = this.take(kind);
    if (left !== undefined) this.logger.error(message() + left, error, about);
  }

  /** Counts a line. @returns what it says of those that were left out before; `undefined` where it is left out itself. */
  private take(kind: string): string | undefined {
    const key = this.kinds.has(kind) || this.kinds.size < MAX_KINDS ? kind : OTHERS;
    const now = this.clock.monotonic();
    const known = this.kinds.get(key);
    if (known !== undefined && now - known.loggedAt < INTERVAL_MS) {
      known.left++;
      return undefined;
    }
    this.kinds.set(key, { loggedAt: now, left: 0 });
    return known === undefined || known.left === 0
      ? ''
      : ` (${known.left} more of this kind since the last line)`;
  }
}
