import type { Clock } from '../../core/ports/clock.js';
import type { LogBounds } from './ordered-log.js';

/** A node is asked how far it is behind when nothing has shown for so long that it is not, in milliseconds. */
const ASK_MS = 5_000;
/** A node that has not read what the log had so long ago is not ready, in milliseconds. */
export const MAX_BEHIND_MS = 10_000;

/** The end of the log that has to be read before this node counts as up to date again. */
interface Doubt {
  /** When it was first asked for, by the monotonic clock: what the log had then was not read since. */
  readonly since: number;
  /** `undefined` while the log has not said it. */
  end: number | undefined;
}

/**
 * How far a node is behind what the log has. The log is asked for its end from time to time; no clock of another machine is believed, and a
 * reader that stands still is found as well as one that is slow.
 */
export class Lag {
  private doubt: Doubt | undefined;
  private currentAt: number;
  private askedAt = -Infinity;
  private asking = false;

  constructor(
    private readonly clock: Clock,
    private readonly ask: () => Promise<LogBounds>,
  ) {
    this.currentAt = clock.monotonic();
  }

  /** For how long at least this node has not read what the log had, in milliseconds. */
  get behindMs(): number {
    return this.doubt === undefined ? 0 : this.clock.monotonic() - this.doubt.since;
  }

  /** All that lies before an offset was read. */
  onRead(next: number): void {
    const { doubt } = this;
    if (doubt?.end === undefined || next < doubt.end) return;
    this.currentAt = doubt.since;
    this.doubt = undefined;
  }

  /** The state was made again, up to the end of the log. */
  reset(): void {
    this.doubt = undefined;
    this.currentAt = this.clock.monotonic();
  }

  /** Asks where it has to. To be called from time to time. @param next as of `onRead` */
  look(next: () => number): void {
    const now = this.clock.monotonic();
    if (this.asking || now < this.dueAt) return;
    this.doubt ??= { since: now, end: undefined };
    this.askedAt = now;
    void this.question(this.doubt, next);
  }

  /** When the next question is due: at once where one was not answered. */
  private get dueAt(): number {
    if (this.doubt === undefined) return this.currentAt + ASK_MS;
    return this.doubt.end === undefined ? this.askedAt : this.askedAt + ASK_MS;
  }

  private async question(doubt: Doubt, next: () => number): Promise<void> {
    this.asking = true;
    try {
      const { end } = await this.ask();
      // One that went back was cut behind this reader: what it waits for is not there any more.
      doubt.end = Math.min(end, doubt.end ?? end);
      if (this.doubt === doubt) this.onRead(next());
    } catch {
      // The log does not answer: asked again, and the doubt is as old as it is.
    } finally {
      this.asking = false;
    }
  }
}
