import type { ChannelEvent } from '../ports/channel-event.js';

/**
 * What the rings of all channels of a node hold together. Where it is too much, the ring to which nothing was added for longest
 * gives up all but its newest event first: a channel in which nobody publishes any more takes no room from one that is read.
 */
export class RingBudget {
  private used = 0;
  /** Of the rings that hold more than their newest event, the one to which nothing was added for longest. */
  private coldest: EventRing | undefined;
  private hottest: EventRing | undefined;

  /** @param maxBytes above which rings keep only their newest events. */
  constructor(private readonly maxBytes: number) {}

  get bytes(): number {
    return this.used;
  }

  count(change: number): void {
    this.used += change;
  }

  /** Something was added to a ring that holds more than its newest event. */
  touch(ring: EventRing): void {
    if (ring === this.hottest) return;
    this.remove(ring);
    ring.colder = this.hottest;
    if (this.hottest === undefined) this.coldest = ring;
    else this.hottest.hotter = ring;
    this.hottest = ring;
  }

  /** Brings the rings within the bound, as far as their newest events are. */
  trim(): void {
    while (this.used > this.maxBytes && this.coldest !== undefined) this.coldest.dropOldest();
  }

  /** A ring holds no more than its newest event. */
  remove(ring: EventRing): void {
    const { colder, hotter } = ring;
    if (colder !== undefined) colder.hotter = hotter;
    else if (this.coldest === ring) this.coldest = hotter;
    if (hotter !== undefined) hotter.colder = colder;
    else if (this.hottest === ring) this.hottest = colder;
    ring.colder = undefined;
    ring.hotter = undefined;
  }
}

/**
 * The newest events of a channel that this node serves, contiguous: where replay meets live (G8). Bounded in events and bytes;
 * the newest event is kept however large it is. What is not here is read from the log.
 */
export class EventRing {
  /** Neighbours in the order of the budget. */
  colder: EventRing | undefined = undefined;
  hotter: EventRing | undefined = undefined;
  private readonly slots: (ChannelEvent | undefined)[] = [];
  private firstSeq = 1;
  private nextSeq = 1;
  private bytes = 0;

  /** @param capacity most events. @param maxBytes most bytes, see {@link ChannelEvent.weight}. */
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
    this.count(event.weight);
    while (this.bytes > this.maxBytes && this.firstSeq < event.seq) this.dropFirst();
    if (this.firstSeq < event.seq) this.budget.touch(this);
    else this.budget.remove(this);
    this.budget.trim();
  }

  /** Whether every event from `seq` to the newest is here. */
  covers(seq: number): boolean {
    return seq >= this.firstSeq && seq < this.nextSeq;
  }

  /** An event that {@link covers}. */
  at(seq: number): ChannelEvent {
    return this.slots[seq % this.capacity] as ChannelEvent;
  }

  /** Puts others in the places of some events. @param other `undefined` where the event stays. */
  replace(other: (event: ChannelEvent) => ChannelEvent | undefined): void {
    for (let seq = this.firstSeq; seq < this.nextSeq; seq++) {
      const event = this.at(seq);
      const found = other(event);
      if (found === undefined) continue;
      this.slots[seq % this.capacity] = found;
      this.count(found.weight - event.weight);
    }
  }

  clear(): void {
    this.slots.length = 0;
    this.firstSeq = this.nextSeq;
    this.count(-this.bytes);
    this.budget.remove(this);
  }

  /** Called by the budget, of a ring that holds more than its newest event. */
  dropOldest(): void {
    this.dropFirst();
    if (this.firstSeq === this.nextSeq - 1) this.budget.remove(this);
  }

  private dropFirst(): void {
    const slot = this.firstSeq % this.capacity;
    this.count(-(this.slots[slot]?.weight ?? 0));
    this.slots[slot] = undefined;
    this.firstSeq++;
  }

  private count(change: number): void {
    this.bytes += change;
    this.budget.count(change);
  }
}
