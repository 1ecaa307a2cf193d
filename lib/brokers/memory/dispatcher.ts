import { guarded, type ChannelListener } from '../common/listeners.js';
import type { MemoryChannel, MemorySubscriber } from './channel.js';

interface Delivery {
  readonly channel: MemoryChannel;
  /** The subscribers at the time of the delivery. */
  readonly to: readonly MemorySubscriber[];
  readonly notify: (listener: ChannelListener) => void;
}

/**
 * Notifies listeners of one thing after the other. A listener that appends, signals or enters inside its own call only
 * queues: otherwise the second listener of a channel would see the later event first (G2).
 */
export class MemoryDispatcher {
  private queue: (Delivery | (() => void))[] = [];
  private delivering = false;

  /** Queues a notification for the present subscribers of a channel; `flush` delivers it. */
  enqueue(channel: MemoryChannel, notify: (listener: ChannelListener) => void): void {
    this.queue.push({ channel, to: channel.subscribers, notify });
  }

  /** As `enqueue` and `flush`; where nothing is queued, as with an append of one channel, without the queue. */
  notify(channel: MemoryChannel, notify: (listener: ChannelListener) => void): void {
    if (this.delivering || this.queue.length > 0) this.enqueue(channel, notify);
    else {
      this.delivering = true;
      deliver({ channel, to: channel.subscribers, notify });
      this.delivering = false;
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

function deliver({ channel, to, notify }: Delivery): void {
  for (const subscriber of to) {
    // A subscriber that has unsubscribed since hears nothing more.
    if (channel.subscribers !== to && !channel.subscribers.includes(subscriber)) continue;
    guarded(() => notify(subscriber.listener));
  }
}
