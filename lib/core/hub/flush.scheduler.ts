/** Something that collects work during a turn of the event loop. */
export interface Flushable {
  flush(): void;
}

/**
 * Runs collected work once at the end of the turn (hot path 2): first the channels, which hand their batches to
 * sessions, then the sessions that have something of their own queued.
 */
export class FlushScheduler {
  private channels: Flushable[] = [];
  private sessions: Flushable[] = [];
  private scheduled = false;
  /** Channels that flush in this turn: with one, batches go straight to the sockets; 0 outside of a flush. */
  channelsInTurn = 0;

  /** @param onError told of a failure; it must not keep the others of the turn from being flushed, nor end the process. */
  constructor(private readonly onError: (error: unknown) => void) {}

  channel(channel: Flushable): void {
    this.channels.push(channel);
    this.arm();
  }

  session(session: Flushable): void {
    this.sessions.push(session);
    this.arm();
  }

  private arm(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(this.run);
  }

  private readonly run = (): void => {
    this.scheduled = false;
    const channels = this.channels;
    this.channels = [];
    this.channelsInTurn = channels.length;
    for (const channel of channels) this.flush(channel);
    this.channelsInTurn = 0;
    const sessions = this.sessions;
    this.sessions = [];
    for (const session of sessions) this.flush(session);
  };

  private flush(flushable: Flushable): void {
    try {
      flushable.flush();
    } catch (error) {
      this.onError(error);
    }
  }
}
