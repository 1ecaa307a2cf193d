import type { ChannelEvent } from '../../core/ports/channel-event.js';
import type { ChannelListener } from '../common/listeners.js';
import { IdWindow, type IdBudget } from './dedupe.js';
import { ChannelLog } from './channel-log.js';
import type { PresenceRoom } from './room.js';

/** Who is notified of what happens in a channel. */
export interface MemorySubscriber {
  readonly listener: ChannelListener;
}

const NOBODY: readonly MemorySubscriber[] = [];

/** Everything that a store holds of one channel. */
export class MemoryChannel {
  readonly log: ChannelLog;
  readonly ids: IdWindow;
  /** Never changed in place: a queued delivery keeps the list of its own time. */
  subscribers = NOBODY;
  /** Events of the running append, for the subscribers. */
  pending: ChannelEvent[] | undefined;
  /** Made when the presence of this channel is first asked for or entered. */
  room: PresenceRoom | undefined;

  /** @param usedAt When it was last used, in the broker's milliseconds. */
  constructor(
    readonly name: string,
    epoch: string,
    budget: IdBudget,
    public usedAt: number,
  ) {
    this.log = new ChannelLog(name, epoch);
    this.ids = new IdWindow(budget);
  }

  /** @returns Whether this was the first subscriber. */
  add(subscriber: MemorySubscriber): boolean {
    if (this.subscribers.includes(subscriber)) return false;
    this.subscribers = [...this.subscribers, subscriber];
    return this.subscribers.length === 1;
  }

  /** @returns Whether this was the last subscriber. */
  remove(subscriber: MemorySubscriber): boolean {
    if (!this.subscribers.includes(subscriber)) return false;
    const rest = this.subscribers.filter((other) => other !== subscriber);
    this.subscribers = rest.length === 0 ? NOBODY : rest;
    return rest.length === 0;
  }

  /** Forgets events and ids that have ended. */
  trim(now: number): void {
    this.log.trim(now);
    this.ids.trim(now);
  }

  /**
   * Whether the channel can be forgotten without breaking a promise silently. Clients notice the loss of the log by the next
   * epoch (G6); nobody would notice that an id inside its window, or a member, was forgotten.
   */
  get isCollectable(): boolean {
    return (
      this.subscribers.length === 0 && this.ids.size === 0 && (this.room === undefined || this.room.isEmpty)
    );
  }
}
