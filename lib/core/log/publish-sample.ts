import type { ChannelEvent } from '../ports/channel-event.js';

/** After this a sample that was not handed to a socket counts with its time so far and makes room for another, in milliseconds. */
const OVERDUE_AFTER_MS = 10_000;

/** A sample that took too long. */
export interface OverdueSample {
  readonly channel: string;
  /** How long it had taken so far, in milliseconds. */
  readonly durationMs: number;
}

/**
 * Times one publish of this node after another, from its append to the moment in which it was handed to the sockets of this node.
 * One at a time: so nothing is kept for each event, and times of the monotonic clock of one node are enough. Who knows that an event
 * will never be handed over says so, as the others would not be timed while it is waited for.
 */
export class PublishSample {
  private channel = '';
  private id = '';
  private startedAt = Number.NEGATIVE_INFINITY;

  /**
   * A publish to a channel that this node delivers is appended. Nothing happens while another one is timed.
   *
   * @returns the one before, where it is overdue: leaving it out would hide what is slowest.
   */
  begin(channel: string, id: string, now: number): OverdueSample | undefined {
    const durationMs = now - this.startedAt;
    const before = this.channel;
    if (before !== '' && durationMs < OVERDUE_AFTER_MS) return undefined;
    this.channel = channel;
    this.id = id;
    this.startedAt = now;
    return before === '' ? undefined : { channel: before, durationMs };
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

  /**
   * An event will not be handed to the sockets of this node as one that has just come.
   *
   * @param id of the event; left out: whichever of the channel is timed.
   */
  abandon(channel: string, id = this.id): void {
    if (this.channel === channel && this.id === id) this.channel = '';
  }
}
