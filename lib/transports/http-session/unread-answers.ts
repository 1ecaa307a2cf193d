import type { ServerResponse } from 'node:http';
import type { Clock, Scheduled } from '../../core/ports/clock.js';

/**
 * Answers that are on their way. A client that reads nothing of one for a whole interval is cut: what its socket holds would be kept
 * for ever, and would keep the server from closing. One timer for all of them.
 */
export class UnreadAnswers {
  /** With the bytes that waited at the last look. */
  private readonly answers = new Map<ServerResponse, number>();
  private timer: Scheduled | undefined;

  /** @param intervalMs from one look to the next. */
  constructor(
    private readonly clock: Clock,
    private readonly intervalMs: number,
  ) {}

  watch(res: ServerResponse): void {
    this.answers.set(res, Infinity);
    res.on('close', () => this.answers.delete(res));
    this.timer ??= this.clock.schedule(this.intervalMs, this.look);
  }

  private readonly look = (): void => {
    this.timer = undefined;
    for (const [res, before] of this.answers) {
      const { writableLength } = res;
      if (writableLength >= before) res.req.socket.destroy();
      else this.answers.set(res, writableLength);
    }
    if (this.answers.size > 0) this.timer = this.clock.schedule(this.intervalMs, this.look);
  };
}
