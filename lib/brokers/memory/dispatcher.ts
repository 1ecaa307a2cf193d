import { guarded, type ChannelListener } from '../common/listeners.js';
import type { FeedNotes, MemoryFeed, MemorySubscriber } from './feed.js';

interface Delivery {
  readonly feed: MemoryFeed;
  /** The subscribers at the time of the delivery. */
  readonly to: readonly MemorySubscriber[];
  readonly notify: (listener: ChannelListener) => void;
}

/**
 * Notifies listeners of one thing after the other. A listener that appends, signals or enters inside its own call only
 * queues: otherwise the second listener of a channel would see the later event first (G2).
 */
export class MemoryDispatcher implements FeedNotes {
  readonly touched: MemoryFeed[] = [];
  private queue: (Delivery | (() => void))[] = [];
  private delivering = false;

  /** Queues a notification for the present subscribers of a channel; `flush` delivers it. */
  enqueue(feed: MemoryFeed, notify: (listener: ChannelListener) => void): void {
    this.queue.push({ feed, to: feed.subscribers, notify });
  }

  /**
   * Delivers what the last command did, behind all that is queued. Where nothing is queued, as with an append of one channel, without
   * the queue.
   */
  deliver(): void {
    const { touched } = this;
    const [first] = touched;
    if (first !== undefined && touched.length === 1 && !this.delivering && this.queue.length === 0) {
      touched.length = 0;
      this.delivering = true;
      deliver({ feed: first, to: first.subscribers, notify: first.takeEvents() });
      this.delivering = false;
    } else if (first !== undefined) {
      // All batches are queued before the first is delivered: its listener may append to the channel of the next.
      for (const feed of touched) this.enqueue(feed, feed.takeEvents());
      touched.length = 0;
    }
    if (this.queue.length > 0) this.flush();
  }

  /** Runs `call` after all that is queued, and delivers everything. */
  run(call: () => void): void {
    this.queue.push(call);
    this.flush();
  }

  /** Queues a call behind all that is queued; `flush` runs it. */
  later(call: () => void): void {
    this.queue.push(call);
  }

  /** Delivers all that is queued before it returns; does nothing inside a listener, where the outer call continues. */
  flush(): void {
    if (this.delivering) return;
    this.delivering = true;
    while (this.queue.length > 0) {
      const batch = this.queue;
      this.queue = [];
      for (const item of batch) {
        if (typeof item === 'function') guarded(item);
        else deliver(item);
      }
    }
    this.delivering = false;
  }
}

function deliver({ feed, to, notify }: Delivery): void {
  for (const subscriber of to) {
    // A subscriber that has unsubscribed since hears nothing more.
    if (feed.subscribers !== to && !feed.subscribers.includes(subscriber)) continue;
    guarded(() => notify(subscriber.listener));
  }
}
