/** The end of a consumer. */
export interface Closing {
  /** No work begins after it; what is under way may end. */
  readonly asked: AbortSignal;
  /** The time of what is under way is over. */
  readonly over: AbortSignal;
}

/**
 * How long what a lane has under way may take: until the lane is lost to another node, and where the application closes instead, until
 * the time of that is over. So a close loses nothing of what can still be finished.
 */
export class WorkTime {
  private readonly end = new AbortController();
  private readonly drop = (): void => this.end.abort();
  private readonly onLaneEnd = (): void => {
    if (!this.closing.asked.aborted) this.drop();
  };

  constructor(
    private readonly lane: AbortSignal,
    private readonly closing: Closing,
  ) {
    if (lane.aborted) this.onLaneEnd();
    if (closing.over.aborted) this.drop();
    lane.addEventListener('abort', this.onLaneEnd);
    closing.over.addEventListener('abort', this.drop);
  }

  get isOver(): boolean {
    return this.end.signal.aborted;
  }

  /** Waits for work, and no longer than this time; what becomes of it later is ignored. @throws Error when the time is over */
  async within<T>(work: PromiseLike<T>): Promise<T> {
    const { signal } = this.end;
    let drop = (): void => undefined;
    const over = new Promise<never>((_, reject) => {
      drop = () => reject(new Error('The time of the work is over'));
    });
    if (signal.aborted) drop();
    signal.addEventListener('abort', drop);
    try {
      return await Promise.race([work, over]);
    } finally {
      signal.removeEventListener('abort', drop);
    }
  }

  /** Leaves nothing behind at the signals. */
  dispose(): void {
    this.lane.removeEventListener('abort', this.onLaneEnd);
    this.closing.over.removeEventListener('abort', this.drop);
  }
}
