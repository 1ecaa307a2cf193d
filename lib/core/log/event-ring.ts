import type { ChannelEvent } from '../ports/channel-event.js';

/** What the rings of all channels of a node hold together. */
export class RingBudget {
  private used = 0;

  /** @param maxBytes above which a ring keeps only its newest event. */
  constructor(private readonly maxBytes: number) {}

  get bytes(): number {
    return this.used;
  }

  get isOver(): boolean {
    return this.used > this.maxBytes;
  }

  count(change: number): void {
    this.used += change;
  }
}

/**
 * The newest events of a channel that this node serves, contiguous: where replay meets live (G8). Bounded in events and bytes;
 * the newest event is kept however large it is. What is not here is read from the log.
 */
export class EventRing {
  private readonly slots: (ChannelEvent | undefined)[] = [];
  private firstSeq = 1;
  private nextSeq = 1;
  private bytes = 0;

  /** @param capacity most events. @param maxBytes most bytes, see {@link ChannelEvent.size}. */
  constructor(
    private readonly capacity: number,
    private readonly maxBytes: number,
    private readonly budget: RingBudget,
  ) {}

  /** Adds an event. One that does not follow the newest empties the ring first. */
  push(event: ChannelEvent): void {
    if (event.seq !== this.nextSeq) {
      this.clear();
      this.firstSeq = event.seq;
    }
    if (event.seq - this.firstSeq === this.capacity) this.dropFirst();
    this.slots[event.seq % this.capacity] = event;
    this.nextSeq = event.seq + 1;
    this.count(event.size);
    while ((this.bytes > this.maxBytes || this.budget.isOver) && this.firstSeq < event.seq) this.dropFirst();
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
    this.count(-this.bytes);
  }

  private dropFirst(): void {
    const slot = this.firstSeq % this.capacity;
    this.count(-(this.slots[slot]?.size ?? 0));
    this.slots[slot] = undefined;
    this.firstSeq++;
  }

  private count(change: number): void {
    this.bytes += change;
    this.budget.count(change);
  }
}
