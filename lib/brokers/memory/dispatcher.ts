import type { ChannelEvent } from '../../core/ports/channel-event.js';
import type { SignalMessage } from '../../core/ports/broker.js';
import type { PresenceDiff } from '../../protocol/messages.js';
import type { MemoryChannel, MemorySubscriber } from './channel.js';

type Delivery =
  | { readonly kind: 'events'; readonly channel: MemoryChannel; readonly events: readonly ChannelEvent[] }
  | { readonly kind: 'signal'; readonly channel: MemoryChannel; readonly signal: SignalMessage }
  | { readonly kind: 'presence'; readonly channel: MemoryChannel; readonly diff: PresenceDiff }
  | { readonly kind: 'call'; readonly run: () => void };

interface Queued {
  readonly delivery: Delivery;
  readonly to: readonly MemorySubscriber[];
}

/**
 * Hands out what happened, one thing after the other. A listener that appends, signals or enters from inside its own
 * call only queues: otherwise the second listener of a channel would see the later event first (G2).
 */
export class MemoryDispatcher {
  private queue: Queued[] = [];
  private delivering = false;

  /** Queues something for those who are interested in the channel now; `flush` hands it out. */
  enqueue(delivery: Delivery): void {
    this.queue.push({ delivery, to: delivery.kind === 'call' ? [] : delivery.channel.subscribers });
  }

  /** Hands out all that waits, before it returns; does nothing inside a listener, where the outer call goes on. */
  flush(): void {
    if (this.delivering) return;
    this.delivering = true;
    while (this.queue.length > 0) {
      const batch = this.queue;
      this.queue = [];
      for (const queued of batch) deliver(queued);
    }
    this.delivering = false;
  }
}

function deliver({ delivery, to }: Queued): void {
  if (delivery.kind === 'call') {
    guarded(delivery.run);
    return;
  }
  const { channel } = delivery;
  for (const subscriber of to) {
    // One that unsubscribed while this waited hears nothing more.
    if (channel.subscribers !== to && !channel.subscribers.includes(subscriber)) continue;
    try {
      if (delivery.kind === 'events') subscriber.listener.onEvents(channel.name, delivery.events);
      else if (delivery.kind === 'signal') subscriber.listener.onSignal(channel.name, delivery.signal);
      else subscriber.listener.onPresence(channel.name, delivery.diff);
    } catch (error) {
      rethrowLater(error);
    }
  }
}

function guarded(run: () => void): void {
  try {
    run();
  } catch (error) {
    rethrowLater(error);
  }
}

/**
 * Listeners must not throw. One that does has a bug that must be seen, but neither the publisher, whose append
 * succeeded, nor the other nodes may pay for it.
 */
function rethrowLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
