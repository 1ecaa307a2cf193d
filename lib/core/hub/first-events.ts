import type { ChannelEvent } from '../ports/channel-event.js';
import type { FirstEventSpan } from '../ports/tracer.js';

/** What is known of where a subscription stands. */
interface Follower {
  readonly cursor: number;
}

interface Awaited {
  readonly span: FirstEventSpan;
  readonly cursor: number;
}

/** The subscriptions of one channel whose first event is traced, until they are sent it or end. */
export class FirstEvents<S extends Follower> {
  private readonly waiting = new Map<S, Awaited>();

  add(subscription: S, span: FirstEventSpan): void {
    this.waiting.set(subscription, { span, cursor: subscription.cursor });
  }

  /** One was sent this event. */
  sent(subscription: S, event: ChannelEvent): void {
    const awaited = this.waiting.get(subscription);
    if (awaited === undefined) return;
    this.waiting.delete(subscription);
    awaited.span.end(event);
  }

  /** Events were handed to those that are live, as their cursors say. */
  delivered(events: readonly ChannelEvent[]): void {
    for (const [subscription, { cursor }] of this.waiting) {
      const first = events.find(({ seq }) => seq > cursor && seq <= subscription.cursor);
      if (first !== undefined) this.sent(subscription, first);
    }
  }

  abandon(subscription: S): void {
    const awaited = this.waiting.get(subscription);
    if (awaited === undefined) return;
    this.waiting.delete(subscription);
    awaited.span.abandon();
  }

  abandonAll(): void {
    for (const subscription of [...this.waiting.keys()]) this.abandon(subscription);
  }
}
