import { trimOldest } from '../../core/async/oldest.js';
import type { Clock } from '../../core/ports/clock.js';

/** How long nothing is carried to a session whose node said that it reads no more: as long as its clients are told to wait. */
const REST_MS = 1_000;
/** Most sessions of which that is known. */
const MAX_RESTING = 10_000;

/**
 * Sessions whose nodes took no more of them. At their own node a body is not even read then; at another one it has to be carried
 * there to learn that, and a client that does not wait could have that done without end.
 */
export class RestingSessions {
  /** When each may be tried again, on the monotonic clock; in the order of these times. */
  private readonly until = new Map<string, number>();

  constructor(private readonly clock: Pick<Clock, 'monotonic'>) {}

  rest(session: string): void {
    this.until.delete(session);
    this.until.set(session, this.clock.monotonic() + REST_MS);
    trimOldest(this.until, MAX_RESTING);
  }

  isResting(session: string): boolean {
    const now = this.clock.monotonic();
    for (const [known, until] of this.until) {
      if (until > now) break;
      this.until.delete(known);
    }
    return this.until.has(session);
  }
}
