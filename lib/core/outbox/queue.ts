import type { GapReason, Position } from '../../protocol/position.js';
import type { ChannelEvent } from '../ports/channel-event.js';
import type { ChannelDefinition } from '../ports/channel-definition.js';

/** The subscription that a queued message belongs to, as far as the outbox knows it. */
export interface Flow {
  /** Name of the channel. */
  readonly name: string;
  /** Epoch of the log that its events come from now. */
  readonly epoch: string;
  readonly definition: ChannelDefinition;
  /** Whether its delivery is frozen: nothing of it may be written for now (G11). */
  readonly isFrozen: boolean;
}

/** A range to be announced as missing; it may grow while it waits in the queue. */
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

/** A range of which nothing is sent. */
export function plainGap(
  from: number,
  to: number,
  reason: GapReason,
  recoverable: boolean,
  epoch: string,
): GapEntry {
  return { from, to, reason, partial: false, recoverable, epoch, dropped: to - from + 1 };
}

/** One queued message. That of an event refers to it, so that an overflow policy can find and drop it. */
export interface QueueEntry {
  readonly bytes?: Buffer;
  readonly flow?: Flow;
  readonly event?: ChannelEvent;
  readonly gap?: GapEntry;
  /** The command that this answers: an answer is never dropped without another in its place (P7). */
  readonly ref?: string;
}

/** Bytes that a gap counts as; it is encoded when it is written. */
const GAP_BYTES = 160;

/** What every empty queue holds; never written to. */
const NOTHING: QueueEntry[] = [];

/** Entries set aside because they may not be written yet. */
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

  /** Entries that are held; not counted in {@link length}. */
  get heldLength(): number {
    return this.held?.entries.length ?? 0;
  }

  /** Bytes that are held; not counted in {@link bytes}. */
  get heldBytes(): number {
    return this.held?.bytes ?? 0;
  }

  /** Sets aside the entries that must wait; the others stay in the queue. */
  hold(mustWait: (entry: QueueEntry) => boolean): void {
    const waiting = this.toArray().filter(mustWait);
    if (waiting.length === 0) return;
    this.replace(this.toArray().filter((entry) => !mustWait(entry)));
    this.putAside([...(this.held?.entries ?? []), ...waiting]);
  }

  /** Puts the held entries back in front: they are older than what is queued. */
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
      // Taken entries are released in bulk: a queue that never empties must not grow at its front.
      this.entries = this.entries.slice(this.head);
      this.head = 0;
    }
    return entry;
  }

  /** Removes everything of a flow. @returns the commands whose answers were among it. */
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

  /**
   * Where the client stands in each flow of which something waits: before the first event or gap. `undefined` when what
   * comes first is neither: its place in the log is not known here.
   */
  positions(): Map<Flow, Position | undefined> {
    const positions = new Map<Flow, Position | undefined>();
    for (const { flow, event, gap } of [...(this.held?.entries ?? NOTHING), ...this.toArray()]) {
      if (flow === undefined || positions.has(flow)) continue;
      const first = event ?? gap;
      const seq = event?.seq ?? gap?.from ?? 0;
      positions.set(flow, first && { epoch: first.epoch, seq: seq - 1 });
    }
    return positions;
  }

  /** The queued entries, in order. */
  toArray(): readonly QueueEntry[] {
    return this.head === 0 ? this.entries : this.entries.slice(this.head);
  }

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

/** Bytes that an entry counts as. */
export function sizeOf(entry: QueueEntry): number {
  return entry.bytes?.length ?? GAP_BYTES;
}
