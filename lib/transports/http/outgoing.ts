import type { ServerResponse } from 'node:http';

/**
 * Answers that were written to their ends and have not left their sockets. To Node, connections of such answers are idle: it ends them
 * at once when the server closes, and what their sockets hold is lost. Over TLS, which encrypts later, that is the last chunk at least.
 */
export class Outgoing {
  private size = 0;
  private waiting: (() => void)[] = [];

  /** The end of this answer is about to be written. To be called once for each. */
  add(res: ServerResponse): void {
    if (res.destroyed) return;
    this.size++;
    res.once('close', this.onLeft);
  }

  /** Resolves when there are none. */
  whenLeft(): Promise<void> {
    return this.size === 0 ? Promise.resolve() : new Promise((resolve) => this.waiting.push(resolve));
  }

  private readonly onLeft = (): void => {
    this.size--;
    if (this.size > 0) return;
    for (const resolve of this.waiting.splice(0)) resolve();
  };
}
