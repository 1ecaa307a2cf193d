import type { ChannelEvent } from '../../core/ports/channel-event.js';
import type { PresenceDiff } from '../../protocol/messages.js';
import type { ChannelListener } from '../common/listeners.js';
import type { ChannelFeed } from '../machine/feed.js';

/** Who is notified of what happens in a channel. */
export interface MemorySubscriber {
  readonly listener: ChannelListener;
}

const NOBODY: readonly MemorySubscriber[] = [];

/** What a feed notes for its store while a command is applied. */
export interface FeedNotes {
  /** Feeds with events that wait for {@link MemoryFeed.takeEvents}. */
  readonly touched: MemoryFeed[];
  enqueue(feed: MemoryFeed, notify: (listener: ChannelListener) => void): void;
}

/** The subscribers of one channel, and what the running command did there. */
export class MemoryFeed implements ChannelFeed {
  /** Never changed in place: a queued delivery keeps the list of its own time. */
  subscribers = NOBODY;
  private pending: ChannelEvent[] | undefined;

  constructor(
    readonly channel: string,
    private readonly notes: FeedNotes,
  ) {}

  /** Idempotent. */
  add(subscriber: MemorySubscriber): void {
    if (!this.subscribers.includes(subscriber)) this.subscribers = [...this.subscribers, subscriber];
  }

  /** @returns Whether this was the last subscriber. */
  remove(subscriber: MemorySubscriber): boolean {
    if (!this.subscribers.includes(subscriber)) return false;
    const rest = this.subscribers.filter((other) => other !== subscriber);
    this.subscribers = rest.length === 0 ? NOBODY : rest;
    return rest.length === 0;
  }

  onAppended(event: ChannelEvent): void {
    if (this.pending === undefined) {
      this.pending = [];
      this.notes.touched.push(this);
    }
    this.pending.push(event);
  }

  onPresence(diff: PresenceDiff): void {
    this.notes.enqueue(this, (listener) => listener.onPresence?.(this.channel, diff));
  }

  /** The notification of the events that were appended since the last call. */
  takeEvents(): (listener: ChannelListener) => void {
    const { channel, pending: events = [] } = this;
    this.pending = undefined;
    return (listener) => listener.onEvents(channel, events);
  }
}
