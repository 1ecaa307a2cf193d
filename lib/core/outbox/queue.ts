import type { GapReason } from '../../protocol/position.js';
import type { ChannelEvent } from '../ports/channel-event.js';
import type { OverflowPolicy } from '../ports/channel-definition.js';

/** Whose messages wait for a client: what the outbox knows of a subscription. */
export interface Flow {
  /** Name of the channel. */
  readonly name: string;
  /** Pattern of the channel's definition. */
  readonly pattern: string;
  /** The log that its events are of now. */
  readonly epoch: string;
  readonly overflow: OverflowPolicy;
  /** Whether what is dropped can be read from the log again. */
  readonly retains: boolean;
  /** Whether nothing of it may be written for now (G11). */
  readonly isWithheld: boolean;
}

/** A range that is announced as missing when its turn comes; it may still grow while it waits. */
export interface GapEntry {
  from: number;
  to: number;
  readonly reason: GapReason;
  readonly partial: boolean;
  readonly recoverable: boolean;
  readonly epoch: string;
  /** Events that it stands for; of a partial one, fewer than its range holds. */
  dropped: number;
}

/** One waiting message. An event keeps its event, so that a policy can find and drop it. */
export interface QueueEntry {
  readonly bytes?: Buffer;
  readonly flow?: Flow;
  readonly event?: ChannelEvent;
  readonly gap?: GapEntry;
  /** The command that this answers: an answer is never dropped without another one in its place (P7, P25). */
  readonly ref?: string;
}

/** Bytes that a gap announcement is counted with; it is encoded when it leaves. */
const GAP_BYTES = 160;

/** What every empty queue holds; never written to. */
const NOTHING: QueueEntry[] = [];

/** What waits aside because it may not be written yet. */
interface Held {
  readonly entries: readonly QueueEntry[];
  readonly bytes: number;
}

/** First in, first out, with a count of bytes. */
export class OutboxQueue {
  private entries = NOTHING;
  private head = 0;
  bytes = 0;
  private held: Held | undefined;

  get length(): number {
    return this.entries.length - this.head;
  }

  get isEmpty(): boolean {
    return this.head === this.entries.length;
  }

  /** Entries that are held aside; not among {@link length}. */
  get heldLength(): number {
    return this.held?.entries.length ?? 0;
  }

  /** Bytes that are held aside; not among {@link bytes}. */
  get heldBytes(): number {
    return this.held?.bytes ?? 0;
  }

  /** Puts aside what must not leave; the rest goes on. */
  hold(mustWait: (entry: QueueEntry) => boolean): void {
    const waiting = this.toArray().filter(mustWait);
    if (waiting.length === 0) return;
    this.replace(this.toArray().filter((entry) => !mustWait(entry)));
    this.putAside([...(this.held?.entries ?? []), ...waiting]);
  }

  /** Puts back what was held: it is older than what waits. */
  release(): void {
    if (this.held === undefined) return;
    this.replace([...this.held.entries, ...this.toArray()]);
    this.held = undefined;
  }

  push(entry: QueueEntry): void {
    if (this.entries === NOTHING) this.entries = [entry];
    else this.entries.push(entry);
    this.bytes += sizeOf(entry);
  }

  shift(): QueueEntry | undefined {
    if (this.isEmpty) return undefined;
    const entry = this.entries[this.head++] as QueueEntry;
    this.bytes -= sizeOf(entry);
    if (this.head === this.entries.length) {
      this.entries = NOTHING;
      this.head = 0;
    } else if (this.head >= 1024 && this.head * 2 >= this.entries.length) {
      // Taken entries are let go in bulk: a queue that never empties must not grow at its front.
      this.entries = this.entries.slice(this.head);
      this.head = 0;
    }
    return entry;
  }

  /** Takes out what waits of a flow. @returns the commands whose answers were among it. */
  purge(flow: Flow): readonly string[] {
    const isOwn = (entry: QueueEntry): boolean => entry.flow === flow;
    const held = this.held?.entries ?? NOTHING;
    const refs = [...held, ...this.toArray()].flatMap((entry) =>
      isOwn(entry) && entry.ref !== undefined ? [entry.ref] : [],
    );
    this.replace(this.toArray().filter((entry) => !isOwn(entry)));
    if (held.length > 0) this.putAside(held.filter((entry) => !isOwn(entry)));
    return refs;
  }

  /** What waits, in order. */
  toArray(): readonly QueueEntry[] {
    return this.head === 0 ? this.entries : this.entries.slice(this.head);
  }

  /** Puts another content in place of the present one. */
  replace(entries: QueueEntry[]): void {
    this.entries = entries.length === 0 ? NOTHING : entries;
    this.head = 0;
    this.bytes = totalOf(entries);
  }

  clear(): void {
    this.replace([]);
    this.held = undefined;
  }

  private putAside(entries: readonly QueueEntry[]): void {
    this.held = entries.length === 0 ? undefined : { entries, bytes: totalOf(entries) };
  }
}

function totalOf(entries: readonly QueueEntry[]): number {
  return entries.reduce((sum, entry) => sum + sizeOf(entry), 0);
}

function sizeOf(entry: QueueEntry): number {
  return entry.bytes?.length ?? GAP_BYTES;
}
