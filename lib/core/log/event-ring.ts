import type { ChannelEvent } from '../ports/channel-event.js';

/** The newest events of a channel that this node serves, contiguous: where replay meets live (G8). */
export class EventRing {
  private readonly slots: (ChannelEvent | undefined)[] = [];
  private firstSeq = 1;
  private nextSeq = 1;

  constructor(private readonly capacity: number) {}

  /** Adds an event. One that does not follow the newest empties the ring first. */
  push(event: ChannelEvent): void {
    if (event.seq !== this.nextSeq) {
      this.clear();
      this.firstSeq = event.seq;
    }
    this.slots[event.seq % this.capacity] = event;
    this.nextSeq = event.seq + 1;
    if (this.nextSeq - this.firstSeq > this.capacity) this.firstSeq = this.nextSeq - this.capacity;
  }

  /** Whether every event from `seq` to the newest is here. */
  covers(seq: number): boolean {
    return seq >= this.firstSeq && seq < this.nextSeq;
  }

  /** An event that {@link covers}. */
  at(seq: number): ChannelEvent {
    return this.slots[seq % this.capacity] as ChannelEvent;
  }

  clear(): void {
    this.slots.length = 0;
    this.firstSeq = this.nextSeq;
  }
}
