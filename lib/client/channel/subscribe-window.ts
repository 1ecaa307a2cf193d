/** Subscribes that wait for their answer at most: as many as a connection holds by default, so that those go in one flight. */
const MAX_UNANSWERED = 128;

/** A channel that wants to subscribe. */
export interface Joining {
  /** There is room now. It need not want it any more: it was unsubscribed, or the connection is gone. */
  join(): void;
}

/**
 * Lets a client with thousands of channels subscribe to them as fast as the server answers: sent all at once, the last would wait
 * for longer than a server lets a command wait, and a publish behind all of them.
 */
export class SubscribeWindow {
  private room = MAX_UNANSWERED;
  private isServing = false;
  /** Those that wait for room, the oldest first. */
  private readonly line = new Set<Joining>();

  /** @returns whether a subscribe may be sent; {@link leave} follows its outcome. Otherwise the channel is told to join later. */
  enter(channel: Joining): boolean {
    const hasRoom = this.room > 0;
    if (hasRoom) this.room--;
    else this.line.add(channel);
    return hasRoom;
  }

  /** A subscribe that entered has an outcome. */
  leave(): void {
    this.room++;
    // What fails at once leaves within its own turn: a loop, or thousands of them would exhaust the stack.
    if (this.isServing) return;
    this.isServing = true;
    for (const channel of this.line) {
      if (this.room === 0) break;
      this.line.delete(channel);
      channel.join();
    }
    this.isServing = false;
  }
}
