import type { ServerResponse } from 'node:http';
import type { Clock, Scheduled } from '../../core/ports/clock.js';

/**
 * Answers that are on their way. A client that reads nothing of one for a whole interval is cut: what its socket holds would be kept
 * for ever, and would keep the server from closing. One timer for all of them.
 */
export class UnreadAnswers {
  private readonly answers = new Map<ServerResponse, { readonly waiting: () => number; before: number }>();
  private timer: Scheduled | undefined;

  /** @param intervalMs from one look to the next. */
  constructor(
    private readonly clock: Clock,
    private readonly intervalMs: number,
  ) {}

  /** @param waiting bytes that the response has yet to be given. */
  watch(res: ServerResponse, waiting: () => number): void {
    this.answers.set(res, { waiting, before: Infinity });
    res.on('close', () => this.answers.delete(res));
    this.timer ??= this.clock.schedule(this.intervalMs, this.look);
  }

  private readonly look = (): void => {
    this.timer = undefined;
    for (const [res, answer] of this.answers) {
      const bytes = res.writableLength + answer.waiting();
      if (bytes >= answer.before) res.req.socket.destroy();
      else answer.before = bytes;
    }
    if (this.answers.size > 0) this.timer = this.clock.schedule(this.intervalMs, this.look);
  };
}
