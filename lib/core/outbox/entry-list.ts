import type { QueueEntry } from './entry.js';

/** What every empty list holds; never written to. */
const NOTHING: QueueEntry[] = [];
/** Entries that left a list by another way, below which it is not worth tidying. */
const FEW = 32;

/**
 * Entries in the order in which they were added. One that leaves by another list stays here as a remnant that is skipped; when
 * remnants are more than half they are removed together. So everything takes constant time, spread over the entries that were
 * added.
 */
export class EntryList {
  private entries = NOTHING;
  private head = 0;
  private remnants = 0;

  /** @param has Whether an entry still belongs to this list. */
  constructor(private readonly has: (entry: QueueEntry) => boolean) {}

  get length(): number {
    return this.entries.length - this.head - this.remnants;
  }

  push(entry: QueueEntry): void {
    if (this.entries === NOTHING) this.entries = [entry];
    else this.entries.push(entry);
  }

  /** The oldest entry. */
  first(): QueueEntry | undefined {
    while (this.head < this.entries.length) {
      const entry = this.entries[this.head] as QueueEntry;
      if (this.has(entry)) return entry;
      this.remnants--;
      this.step();
    }
    return undefined;
  }

  /** Takes the oldest entry out of this list. */
  shift(): QueueEntry | undefined {
    const entry = this.first();
    if (entry !== undefined) this.step();
    return entry;
  }

  /** An entry no longer belongs to this list. */
  left(): void {
    this.remnants++;
    if (this.remnants > FEW && this.remnants > this.length) this.hold(this.toArray());
  }

  clear(): void {
    this.hold(NOTHING);
  }

  /** The entries, in order. */
  toArray(): QueueEntry[] {
    const entries: QueueEntry[] = [];
    for (let index = this.head; index < this.entries.length; index++) {
      const entry = this.entries[index] as QueueEntry;
      if (this.has(entry)) entries.push(entry);
    }
    return entries;
  }

  private hold(entries: QueueEntry[]): void {
    this.entries = entries.length === 0 ? NOTHING : entries;
    this.head = 0;
    this.remnants = 0;
  }

  private step(): void {
    this.head++;
    if (this.head === this.entries.length) this.hold(NOTHING);
    else if (this.head >= 1024 && this.head * 2 >= this.entries.length) {
      // Taken entries are released in bulk: a list that never empties must not grow at its front.
      this.entries = this.entries.slice(this.head);
      this.head = 0;
    }
  }
}
