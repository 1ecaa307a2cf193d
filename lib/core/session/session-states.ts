/** What a session waits for: its `hello`, the answer to it, or nothing; and that it has ended. */
export type SessionState = 'hello' | 'authenticating' | 'live' | 'closed';

/** How many sessions of a node are in which state; ended ones are not counted. */
export class SessionStates {
  private readonly counts = { hello: 0, authenticating: 0, live: 0 };

  /** @param from `undefined` of a new one. */
  move(from: SessionState | undefined, to: SessionState): void {
    if (from !== undefined && from !== 'closed') this.counts[from]--;
    if (to !== 'closed') this.counts[to]++;
  }

  list(): Readonly<Record<Exclude<SessionState, 'closed'>, number>> {
    return this.counts;
  }
}
