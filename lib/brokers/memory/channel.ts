import type { ChannelEvent } from '../../core/ports/channel-event.js';
import type { BrokerListener } from '../../core/ports/broker.js';
import { IdWindow, type IdBudget } from './dedupe.js';
import { MemoryLog } from './log.js';
import type { PresenceRoom } from './room.js';

/** Whoever is told what happens in a channel. */
export interface MemorySubscriber {
  readonly listener: Pick<BrokerListener, 'onEvents' | 'onSignal' | 'onPresence'>;
}

const NOBODY: readonly MemorySubscriber[] = [];

/** Everything that a store knows of one channel. */
export class MemoryChannel {
  readonly log: MemoryLog;
  readonly ids: IdWindow;
  /** Never changed in place: a delivery that waits keeps the list of its own moment. */
  subscribers = NOBODY;
  /** Events of the append that runs, for the subscribers. */
  pending: ChannelEvent[] | undefined;
  /** There once somebody asked for, or entered, the presence of this channel. */
  room: PresenceRoom | undefined;

  /** @param usedAt When it was last used, in the broker's milliseconds. */
  constructor(
    readonly name: string,
    epoch: string,
    budget: IdBudget,
    public usedAt: number,
  ) {
    this.log = new MemoryLog(name, epoch);
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

  /** Forgets what is past its time. */
  trim(now: number): void {
    this.log.trim(now);
    this.ids.trim(now);
  }

  /**
   * Whether forgetting the channel would break no promise in silence. Losing the log is loud, for the next one has
   * another epoch (G6); forgetting an id inside its window (G4) or a member (G19) is not.
   */
  get isCollectable(): boolean {
    return (
      this.subscribers.length === 0 && this.ids.size === 0 && (this.room === undefined || this.room.isEmpty)
    );
  }
}
