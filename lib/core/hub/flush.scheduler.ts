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
  /** Channels that flush in this turn: with one, batches go straight to the sockets. */
  channelsInTurn = 0;

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
    for (const channel of channels) channel.flush();
    const sessions = this.sessions;
    this.sessions = [];
    for (const session of sessions) session.flush();
  };
}
