import type { ServerResponse } from 'node:http';

/** What was ended, and is there until the client has, or has answered, its end. */
export interface Leaving {
  destroy(): unknown;
}

/**
 * Answers that were written to their ends and have not left their sockets, and connections that wait for an answer to their close. To
 * Node, connections of such answers are idle: it ends them at once when the server closes, and what their sockets hold is lost. Over
 * TLS, which encrypts later, that is the last chunk at least.
 */
export class Outgoing {
  private readonly leaving = new Set<Leaving>();
  private waiting: (() => void)[] = [];
  /** Shared by all answers. */
  private readonly onLeft: (this: ServerResponse) => void;

  constructor() {
    const leave = (answer: Leaving): void => this.left(answer);
    this.onLeft = function onLeft(this: ServerResponse) {
      leave(this);
    };
  }

  /** The end of this answer is about to be written. To be called once for each. */
  add(res: ServerResponse): void {
    if (res.destroyed) return;
    this.leaves(res);
    res.once('close', this.onLeft);
  }

  /** It was ended; {@link left} follows. Idempotent until then. */
  leaves(one: Leaving): void {
    this.leaving.add(one);
  }

  /** It has left. Idempotent. */
  left(one: Leaving): void {
    if (!this.leaving.delete(one) || this.leaving.size > 0) return;
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  /** Resolves when there are none. */
  whenLeft(): Promise<void> {
    return this.leaving.size === 0 ? Promise.resolve() : new Promise((resolve) => this.waiting.push(resolve));
  }

  /** Destroys them. @returns how many there were. */
  cut(): number {
    const all = [...this.leaving];
    for (const one of all) one.destroy();
    return all.length;
  }
}
