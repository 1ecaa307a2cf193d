import type { ChannelEvent } from '../ports/channel-event.js';

/** After this a sample that was never delivered makes room for another, in milliseconds. */
const LOST_AFTER_MS = 10_000;

/**
 * Times one publish of this node after another, from its append to the moment in which it was handed to the sockets of this node.
 * One at a time: so nothing is kept for each event, and times of the monotonic clock of one node are enough.
 */
export class PublishSample {
  private channel = '';
  private id = '';
  private startedAt = Number.NEGATIVE_INFINITY;

  /** A publish to a channel that this node delivers is appended. Nothing happens while another one is timed. */
  begin(channel: string, id: string, now: number): void {
    if (this.channel !== '' && now - this.startedAt < LOST_AFTER_MS) return;
    this.channel = channel;
    this.id = id;
    this.startedAt = now;
  }

  /** Whether an event of this channel is timed: to be asked first, as it costs nothing. */
  isOf(channel: string): boolean {
    return this.channel === channel;
  }

  /** Events of the channel were delivered. @returns how long the one took, in milliseconds; `undefined` where it is not among them. */
  end(events: readonly ChannelEvent[], now: number): number | undefined {
    if (!events.some(({ id }) => id === this.id)) return undefined;
    this.channel = '';
    return now - this.startedAt;
  }
}
