/** What ends a lane: it is this node's no longer, or its session ends. */
export class LaneEnd {
  private readonly own = new AbortController();
  private readonly session: AbortSignal;
  private readonly forward = (): void => this.end();

  /** @param session ends it too. */
  constructor(session: AbortSignal) {
    this.session = session;
    if (session.aborted) this.own.abort();
    else session.addEventListener('abort', this.forward, { once: true });
  }

  get signal(): AbortSignal {
    return this.own.signal;
  }

  /** Idempotent. */
  end(): void {
    this.session.removeEventListener('abort', this.forward);
    this.own.abort();
  }
}
