import type { Position } from '../../protocol/position.js';
import type { ChannelEvent } from '../ports/channel-event.js';
import { AnswerFlow } from './answer-flow.js';
import { EntryList } from './entry-list.js';
import { isQueued, QueueEntry, type Flow, type GapEntry, type QueuedMessage } from './entry.js';
import { FlowIndex } from './flow-index.js';
import type { OutboxBudget } from './outbox-budget.js';

/** Entries set aside because they may not be written yet. */
interface Held {
  readonly entries: EntryList;
  readonly index: FlowIndex;
  bytes: number;
}

/**
 * First in, first out, with a count of bytes. What a full queue drops, and what is purged, is found by its flow or kind, whatever
 * else is queued (see {@link FlowIndex}).
 */
export class OutboxQueue {
  private readonly entries = newList();
  /** Made when the first entry is looked for by its flow or kind; gone when the queue is empty. */
  private index: FlowIndex | undefined;
  private held: Held | undefined;
  bytes = 0;

  /** @param memory is told of all that is queued or held. */
  constructor(private readonly memory: Pick<OutboxBudget, 'hold' | 'release' | 'change'>) {}

  get length(): number {
    return this.entries.length;
  }

  get isEmpty(): boolean {
    return this.entries.length === 0;
  }

  /** Entries that are held; not counted in {@link length}. */
  get heldLength(): number {
    return this.held?.entries.length ?? 0;
  }

  /** Bytes that are held; not counted in {@link bytes}. */
  get heldBytes(): number {
    return this.held?.bytes ?? 0;
  }

  push(message: QueuedMessage): void {
    this.add(message instanceof QueueEntry ? message : new QueueEntry(message));
  }

  shift(): QueueEntry | undefined {
    const entry = this.entries.shift();
    if (entry === undefined) return undefined;
    this.bytes -= entry.size;
    this.uncount(entry);
    entry.gone = true;
    this.index?.left(entry);
    this.forgetIndexWhenEmpty();
    return entry;
  }

  /**
   * Drops the oldest message that may be dropped before events: a signal, or else a change of members.
   *
   * @returns whether there was one.
   */
  dropDroppable(onlySignals = false): boolean {
    if (this.isEmpty) return false;
    const entry = this.indexed.firstDroppable(onlySignals);
    if (entry === undefined) return false;
    this.remove(entry);
    if (entry.flow !== undefined) entry.onDropped?.(entry.flow);
    return true;
  }

  /**
   * Drops the oldest event of a flow; the announcement takes its place, or extends the one before (P25).
   *
   * @returns whether there was one.
   */
  dropOldest(flow: Flow): boolean {
    if (this.isEmpty) return false;
    const own = this.indexed.of(flow);
    if (own?.epoch !== flow.epoch) return false;
    const entry = own.events.first();
    const event = entry?.event;
    if (entry === undefined || event === undefined) return false;
    const { seq } = event;
    const gap = own.gapToExtend(entry, seq);
    if (gap !== undefined) {
      gap.to = seq;
      gap.dropped++;
      this.remove(entry);
    } else {
      own.gap = entry;
      this.announceInPlace(entry, newGap(flow, seq, seq, 'overflow', 1));
    }
    return true;
  }

  /**
   * Drops every event of a flow that is not the newest of its key; `key` and `to` are those of the newest event of all. One
   * partial gap announces them, before the thinned events and up to the last of them (P25).
   */
  conflate(flow: Flow, key: string | undefined, to: number): void {
    if (this.isEmpty) return;
    const own = this.indexed.of(flow);
    if (own?.epoch !== flow.epoch) return;
    if (key !== undefined) own.supersede(key);
    const doomed = own.outdated;
    const [some] = doomed;
    if (some === undefined) return;
    let oldest = some;
    for (const entry of doomed) if (seqOf(entry) < seqOf(oldest)) oldest = entry;
    const first = seqOf(oldest);
    const known = own.partial;
    const dropped = doomed.length + (known?.gap?.dropped ?? 0);
    for (const entry of doomed) if (entry !== oldest) this.remove(entry);
    if (known?.gap !== undefined && known.gap.from <= first) {
      this.remove(oldest);
      known.gap.to = to;
      known.gap.dropped = dropped;
      return;
    }
    if (known !== undefined) this.remove(known);
    this.announceInPlace(oldest, newGap(flow, first, to, 'conflated', dropped));
    own.partial = oldest;
  }

  /** Removes everything of a flow. @returns the commands whose answers were among it. */
  purge(flow: Flow): readonly string[] {
    const held = this.held?.index.of(flow)?.all.toArray() ?? [];
    return this.takeOut(held, this.isEmpty ? [] : (this.indexed.of(flow)?.all.toArray() ?? []));
  }

  /**
   * Puts others in the places of events that are queued, or set aside, of a flow. It looks at everything that waits.
   *
   * @param other `undefined` where the event stays.
   */
  replaceEvents(flow: Flow, other: (event: ChannelEvent) => QueueEntry | undefined): void {
    const replace = (entry: QueueEntry): number | undefined => {
      const found = entry.flow === flow && entry.event !== undefined ? other(entry.event) : undefined;
      if (found === undefined) return undefined;
      const before = entry.size;
      this.uncount(entry);
      entry.becomeEvent(found);
      this.count(entry);
      return entry.size - before;
    };
    for (const entry of this.entries.toArray()) {
      const change = replace(entry);
      if (change === undefined) continue;
      this.bytes += change;
      // It knows events by what they were, and is made again when it is needed.
      this.index = undefined;
    }
    const { held } = this;
    if (held === undefined) return;
    const waiting = held.entries.toArray();
    for (const entry of waiting) held.bytes += replace(entry) ?? 0;
    this.held = { ...held, index: new FlowIndex(waiting) };
  }

  /** Removes the answers with events of a channel's log, or with its state. @returns the commands that they answered. */
  withdrawCopies(channel: string): readonly string[] {
    const isCopy = ({ holds, flow }: QueueEntry): boolean => holds === 'copy' && flow?.name === channel;
    const held = this.held?.entries.toArray().filter(isCopy) ?? [];
    return this.takeOut(held, this.entries.toArray().filter(isCopy));
  }

  /** Whether the state of a channel is queued, or set aside, that a subscription begins with. */
  holdsStart(channel: string): boolean {
    const isStart = ({ holds, flow }: QueueEntry): boolean => holds === 'start' && flow?.name === channel;
    return this.entries.toArray().some(isStart) || this.held?.entries.toArray().some(isStart) === true;
  }

  /** What is queued, or set aside, of flows that are not those of a subscription, each once. */
  answerFlows(concerns: (channel: string) => boolean): readonly AnswerFlow[] {
    const found: AnswerFlow[] = [];
    for (const index of [this.held?.index, this.isEmpty ? undefined : this.indexed])
      for (const flow of index?.all.keys() ?? [])
        if (flow instanceof AnswerFlow && concerns(flow.name)) found.push(flow);
    return found;
  }

  /** Sets aside the entries that must wait; the others stay in the queue. */
  hold(mustWait: (entry: QueueEntry) => boolean): void {
    for (const entry of this.entries.toArray()) {
      if (!mustWait(entry)) continue;
      // A copy, as lists may hold the entry itself for longer.
      this.putAside(new QueueEntry(entry));
      this.remove(entry);
    }
  }

  /** Puts the held entries back in front: they are older than what is queued. */
  release(): void {
    if (this.held === undefined) return;
    const waiting = [...this.held.entries.toArray(), ...this.entries.toArray()];
    this.clear();
    for (const entry of waiting) this.add(new QueueEntry(entry));
  }

  /**
   * Where the client stands in each flow of which something waits: before the first event or gap. `undefined` when what
   * comes first is neither: its place in the log is not known here.
   */
  positions(): Map<Flow, Position | undefined> {
    const positions = new Map<Flow, Position | undefined>();
    for (const index of [this.held?.index, this.isEmpty ? undefined : this.indexed]) {
      for (const [flow, { all }] of index?.all ?? []) {
        const entry = all.first();
        if (entry === undefined || positions.has(flow)) continue;
        const first = entry.event ?? entry.gap;
        const seq = entry.event?.seq ?? entry.gap?.from ?? 0;
        positions.set(flow, first && { epoch: first.epoch, seq: seq - 1 });
      }
    }
    return positions;
  }

  /** The queued entries, in order. */
  toArray(): readonly QueueEntry[] {
    return this.entries.toArray();
  }

  clear(): void {
    for (const entry of this.entries.toArray()) this.uncount(entry);
    for (const entry of this.held?.entries.toArray() ?? []) this.uncount(entry);
    this.entries.clear();
    this.index = undefined;
    this.held = undefined;
    this.bytes = 0;
  }

  private get indexed(): FlowIndex {
    return (this.index ??= new FlowIndex(this.entries.toArray()));
  }

  private add(entry: QueueEntry): void {
    this.entries.push(entry);
    this.bytes += entry.size;
    this.count(entry);
    this.index?.add(entry);
  }

  /** What many outboxes may hold is counted once for all of them. */
  private count(entry: QueueEntry): void {
    if (entry.shared !== undefined) this.memory.hold(entry.shared);
    else this.memory.change(entry.size);
  }

  private uncount(entry: QueueEntry): void {
    if (entry.shared !== undefined) this.memory.release(entry.shared);
    else this.memory.change(-entry.size);
  }

  private remove(entry: QueueEntry): void {
    this.bytes -= entry.size;
    this.uncount(entry);
    entry.gone = true;
    this.entries.left();
    this.index?.left(entry);
    entry.release();
    this.forgetIndexWhenEmpty();
  }

  private announceInPlace(entry: QueueEntry, gap: GapEntry): void {
    const { event } = entry;
    this.bytes -= entry.size;
    this.uncount(entry);
    entry.becomeGap(gap);
    this.bytes += entry.size;
    this.count(entry);
    if (event !== undefined && entry.flow !== undefined) this.index?.of(entry.flow)?.eventLeft(entry, event);
  }

  private forgetIndexWhenEmpty(): void {
    if (this.entries.length === 0) this.index = undefined;
  }

  private putAside(entry: QueueEntry): void {
    const held = (this.held ??= { entries: newList(), index: new FlowIndex([]), bytes: 0 });
    held.entries.push(entry);
    held.index.add(entry);
    held.bytes += entry.size;
    this.count(entry);
  }

  /** Removes what is set aside, and what is queued. @returns the commands whose answers were among it. */
  private takeOut(held: readonly QueueEntry[], queued: readonly QueueEntry[]): readonly string[] {
    for (const entry of held) this.removeHeld(entry);
    for (const entry of queued) this.remove(entry);
    return [...held, ...queued].flatMap(({ ref }) => ref ?? []);
  }

  private removeHeld(entry: QueueEntry): void {
    const { held } = this;
    if (held === undefined) return;
    held.bytes -= entry.size;
    this.uncount(entry);
    entry.gone = true;
    held.entries.left();
    held.index.left(entry);
    entry.release();
    if (held.entries.length === 0) this.held = undefined;
  }
}

function newList(): EntryList {
  return new EntryList(isQueued);
}

function newGap(
  flow: Flow,
  from: number,
  to: number,
  reason: 'overflow' | 'conflated',
  dropped: number,
): GapEntry {
  return {
    from,
    to,
    reason,
    partial: reason === 'conflated',
    recoverable: flow.definition.policy.log.retain,
    epoch: flow.epoch,
    dropped,
  };
}

function seqOf({ event }: QueueEntry): number {
  return event?.seq ?? Infinity;
}
