import { EntryList } from './entry-list.js';
import { isQueued, type Flow, type GapEntry, type QueueEntry } from './entry.js';

const isEvent = (entry: QueueEntry): boolean => !entry.gone && entry.event !== undefined;

/** What is queued of one flow. */
class FlowEntries {
  readonly all = new EntryList(isQueued);
  /** Events of the present epoch: those that were queued before a `reset` belong to another log and are left alone. */
  events = new EntryList(isEvent);
  epoch = '';
  /** The overflow gap that the next event to be dropped may follow. */
  gap: QueueEntry | undefined;
  /** The conflation gap, which covers everything that was thinned out. */
  partial: QueueEntry | undefined;
  /** The newest event of each conflation key; made where the channel conflates. */
  latest: Map<string, QueueEntry> | undefined;
  private superseded = new EntryList(isEvent);
  /** What was queued last before the next event. */
  private gapBefore: QueueEntry | undefined;
  private afterMarker = false;

  add(entry: QueueEntry): void {
    this.all.push(entry);
    if (entry.event !== undefined) this.addEvent(entry, entry.event.epoch);
    else if (entry.gap !== undefined) this.addGap(entry, entry.gap);
    else if (entry.ref === undefined && !entry.droppable) {
      this.afterMarker = true;
      this.gapBefore = undefined;
    }
  }

  private addGap(entry: QueueEntry, { epoch, partial }: GapEntry): void {
    if (epoch !== this.epoch) this.begin(epoch);
    this.gapBefore = entry;
    if (partial) this.partial = entry;
  }

  private addEvent(entry: QueueEntry, epoch: string): void {
    if (epoch !== this.epoch) this.begin(epoch);
    entry.gapBefore = this.gapBefore;
    entry.afterMarker = this.afterMarker;
    this.gapBefore = undefined;
    this.afterMarker = false;
    this.events.push(entry);
    const key = entry.event?.key;
    if (key === undefined || entry.flow?.definition.policy.overflow !== 'conflate') return;
    this.supersede(key);
    (this.latest ??= new Map<string, QueueEntry>()).set(key, entry);
  }

  /** Events that are not the newest of their key. */
  get outdated(): readonly QueueEntry[] {
    return this.superseded.toArray();
  }

  /** The queued event of this key is not the newest. */
  supersede(key: string): void {
    const older = this.latest?.get(key);
    if (older === undefined) return;
    this.latest?.delete(key);
    this.superseded.push(older);
  }

  private begin(epoch: string): void {
    this.epoch = epoch;
    this.events = new EntryList(isEvent);
    this.superseded = new EntryList(isEvent);
    this.latest = undefined;
    this.gap = undefined;
    this.partial = undefined;
  }

  /** An entry left the queue. */
  left(entry: QueueEntry): void {
    this.all.left();
    if (entry.event !== undefined) this.eventLeft(entry, entry.event);
    if (this.gap === entry) this.gap = undefined;
    if (this.partial === entry) this.partial = undefined;
    if (this.gapBefore === entry) this.gapBefore = undefined;
  }

  /** An event left the queue, or an announcement took its place. */
  eventLeft(entry: QueueEntry, { epoch, key }: { readonly epoch: string; readonly key?: string }): void {
    if (epoch !== this.epoch) return;
    this.events.left();
    if (key === undefined || this.latest === undefined) return;
    if (this.latest.get(key) === entry) this.latest.delete(key);
    else this.superseded.left();
  }

  /** A queued gap that `event` directly follows. */
  gapToExtend(entry: QueueEntry, seq: number): GapEntry | undefined {
    const { gapBefore } = entry;
    if (gapBefore !== undefined && !gapBefore.gone && isExtendable(gapBefore.gap, this.epoch, seq)) {
      this.gap = gapBefore;
      return gapBefore.gap;
    }
    if (entry.afterMarker || this.gap === undefined) return undefined;
    return isExtendable(this.gap.gap, this.epoch, seq) ? this.gap.gap : undefined;
  }
}

function isExtendable(gap: GapEntry | undefined, epoch: string, seq: number): boolean {
  return gap?.reason === 'overflow' && !gap.partial && gap.epoch === epoch && gap.to + 1 === seq;
}

/**
 * Finds what is queued by flow and by kind, so that what an overflow policy drops is found without a look at the other entries.
 * A queue makes one when it needs it, and drops it when it is empty.
 */
export class FlowIndex {
  private readonly flows = new Map<Flow, FlowEntries>();
  /** What is dropped first: signals. */
  private readonly signals = new EntryList(isQueued);
  /** What is dropped next: changes of members, after which a client reads them again. */
  private readonly changes = new EntryList(isQueued);

  constructor(entries: readonly QueueEntry[]) {
    for (const entry of entries) this.add(entry);
  }

  of(flow: Flow): FlowEntries | undefined {
    return this.flows.get(flow);
  }

  /** What is queued of each flow. */
  get all(): ReadonlyMap<Flow, FlowEntries> {
    return this.flows;
  }

  add(entry: QueueEntry): void {
    if (entry.droppable) this.droppablesLike(entry).push(entry);
    const { flow } = entry;
    if (flow === undefined) return;
    let entries = this.flows.get(flow);
    if (entries === undefined) this.flows.set(flow, (entries = new FlowEntries()));
    entries.add(entry);
  }

  /** An entry left the queue. */
  left(entry: QueueEntry): void {
    if (entry.droppable) this.droppablesLike(entry).left();
    const entries = entry.flow && this.flows.get(entry.flow);
    if (entry.flow === undefined || entries === undefined) return;
    entries.left(entry);
    if (entries.all.length === 0) this.flows.delete(entry.flow);
  }

  /** The oldest message that may be dropped first. */
  firstDroppable(onlySignals: boolean): QueueEntry | undefined {
    return this.signals.first() ?? (onlySignals ? undefined : this.changes.first());
  }

  private droppablesLike({ onDropped }: QueueEntry): EntryList {
    return onDropped === undefined ? this.signals : this.changes;
  }
}
