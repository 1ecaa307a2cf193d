import type { ChannelEvent } from '../../core/ports/channel-event.js';

/** Events for which there is room at first. */
const INITIAL_CAPACITY = 4;
/** Places that an event takes in the list: the event, when it was appended, its bytes, and its weight. */
const STRIDE = 4;

type Slot = ChannelEvent | number | undefined;

/**
 * The events that a log keeps, oldest first, with what the log needs to know of each. All in one list that is used as a ring: what is
 * asked at every append, when the oldest ends, is found without touching that event, which nobody has touched for long, and
 * an event is no larger for it.
 */
export class KeptEvents {
  /** Room for a power of two of events, so that a place wraps with a mask; empty until the first `push`. */
  private slots: Slot[] = [];
  /** Place of the oldest. */
  private head = 0;
  private size = 0;
  /** Places of the events in the log that they are read from again, as `slots`; none where nothing is read again. */
  private places: number[] | undefined;

  /** Events kept. */
  get length(): number {
    return this.size;
  }

  /** Event by its distance from the oldest; `undefined` outside, and where it is still to be read from the log again. */
  at(index: number): ChannelEvent | undefined {
    if (index < 0 || index >= this.size) return undefined;
    return this.slots[this.placeOf(index)] as ChannelEvent | undefined;
  }

  /** When the event was appended, in machine time: its `ts` is for people, and jumps with their clock. */
  appendedAt(index: number): number {
    return this.slots[this.placeOf(index) + 1] as number;
  }

  /** Bytes that the event counts in its log, as its append gave them. */
  bytes(index: number): number {
    return this.slots[this.placeOf(index) + 2] as number;
  }

  /** Bytes that the event is charged to the store. */
  weight(index: number): number {
    return this.slots[this.placeOf(index) + 3] as number;
  }

  /** Place in the log that the event is read from again; 0 where nothing is read again. */
  placeInLog(index: number): number {
    return this.places?.[this.placeOf(index) / STRIDE] ?? 0;
  }

  /** @param event `undefined`: to be read from the log again, and put here with `fill`. */
  push(
    event: ChannelEvent | undefined,
    appendedAt: number,
    bytes: number,
    weight: number,
    placeInLog = 0,
  ): void {
    const capacity = this.slots.length / STRIDE;
    if (this.size === capacity) this.resize(Math.max(INITIAL_CAPACITY, capacity * 2));
    const { slots } = this;
    const place = this.placeOf(this.size);
    slots[place] = event;
    slots[place + 1] = appendedAt;
    slots[place + 2] = bytes;
    slots[place + 3] = weight;
    if (placeInLog > 0 || this.places !== undefined) (this.places ??= [])[place / STRIDE] = placeInLog;
    this.size += 1;
  }

  /** Puts an event that was read from the log again where it is missing. @returns whether it was. */
  fill(index: number, event: ChannelEvent): boolean {
    if (index < 0 || index >= this.size || this.at(index) !== undefined) return false;
    this.slots[this.placeOf(index)] = event;
    return true;
  }

  /** Puts another event in the place of one that is kept. */
  replace(index: number, event: ChannelEvent, bytes: number, weight: number): void {
    if (index < 0 || index >= this.size) return;
    const place = this.placeOf(index);
    this.slots[place] = event;
    this.slots[place + 2] = bytes;
    this.slots[place + 3] = weight;
  }

  /** Removes the oldest event. */
  shift(): void {
    if (this.size === 0) return;
    this.slots[this.head] = undefined;
    this.head = this.placeOf(1);
    this.size -= 1;
    this.release();
  }

  /** Removes the newest event. */
  pop(): void {
    if (this.size === 0) return;
    this.size -= 1;
    this.slots[this.placeOf(this.size)] = undefined;
    this.release();
  }

  /** Releases the memory of a burst; at a quarter, so that a steady log does not resize again and again. */
  private release(): void {
    const capacity = this.slots.length / STRIDE;
    if (capacity > INITIAL_CAPACITY && this.size * 4 <= capacity) this.resize(capacity / 2);
  }

  private placeOf(index: number): number {
    return (this.head + index * STRIDE) & (this.slots.length - 1);
  }

  private resize(capacity: number): void {
    const { slots } = this;
    const next = new Array<Slot>(capacity * STRIDE).fill(undefined);
    const places = this.places === undefined ? undefined : new Array<number>(capacity).fill(0);
    for (let index = 0; index < this.size; index += 1) {
      const place = this.placeOf(index);
      for (let part = 0; part < STRIDE; part += 1) next[index * STRIDE + part] = slots[place + part];
      if (places !== undefined) places[index] = this.placeInLog(index);
    }
    this.slots = next;
    this.places = places;
    this.head = 0;
  }
}
