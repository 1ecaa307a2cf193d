import { ChannelEvent, expiryOf } from '../../core/ports/channel-event.js';
import type { AppendRequest, ReadRequest, ReadResult } from '../../core/ports/broker.js';
import type { Position } from '../../protocol/position.js';
import { inTerm, type Epochs } from './epochs.js';
import { KeptEvents } from './kept-events.js';
import type { Ledger } from './ledger.js';
import { structureOfJson } from '../../core/ports/value-weight.js';
import type { Moment } from './commands.js';
import { EVENT_BYTES } from './weight.js';

/** An earlier epoch, and the `seq` up to which it is a true prefix of the log (P10). */
interface Fork {
  readonly epoch: string;
  readonly lastSeq: number;
}

/** Earlier epochs that are remembered; positions of older ones are lost. */
const MAX_FORKS = 8;

/**
 * What the values of a log may take of the heap for each byte of `history.maxBytes`: most take 2 to 3. Maps with a number for a
 * name take 26, and one channel of them would be all that the store keeps.
 */
const MAX_HEAP_PER_BYTE = 4;

/** The log of one channel: numbers every event, keeps the newest (P10). */
export class ChannelLog {
  private tip = 0;
  /** Machine time of the last append. */
  private lastAt = -Infinity;
  private ttlMs = Infinity;
  /** Bytes of the events that are kept, as their appends counted them. */
  private size = 0;
  /** What their values take of the heap. */
  private heap = 0;
  private readonly events = new KeptEvents();
  private forks: readonly Fork[] = [];
  private epoch: string;

  /** @param base The epoch that it begins with, without its term. */
  constructor(
    private readonly channel: string,
    private base: string,
    private term: number,
    private readonly ledger: Ledger,
  ) {
    this.epoch = inTerm(base, term);
  }

  get position(): Position {
    return { epoch: this.epoch, seq: this.tip };
  }

  /** Events kept. */
  get length(): number {
    return this.events.length;
  }

  /** Smallest `seq` kept; one past the tip when nothing is. */
  get oldest(): number {
    return this.tip - this.events.length + 1;
  }

  /** Bytes that the newest event is charged to the store; 0 when none is kept. */
  get newestWeight(): number {
    const { events } = this;
    return events.length === 0 ? 0 : events.weight(events.length - 1);
  }

  /** When the oldest event ends, in machine time; `Infinity` when none is kept. */
  get until(): number {
    const { events } = this;
    return events.length === 0 ? Infinity : events.appendedAt(0) + this.ttlMs;
  }

  /**
   * @param ts of the record: a parameter, as a whole batch has one.
   * @param index of the request in its batch.
   */
  append(request: AppendRequest, ts: number, { now, local, place }: Moment, index: number): ChannelEvent {
    const { event: draft, policy, bytes } = request;
    this.tip += 1;
    this.lastAt = now;
    const keeps = policy.retain && policy.size > 0 && bytes <= policy.maxBytes;
    const event = this.eventOf(request, this.tip, ts, local);
    if (keeps) {
      this.ttlMs = policy.ttlMs;
      const structure = structureOfJson(draft.payload, bytes) + structureOfJson(draft.meta, bytes);
      this.push(event, now, bytes, EVENT_BYTES + bytes + structure, place === 0 ? 0 : place + index);
      while (this.events.length > policy.size || this.isAbove(policy.maxBytes)) this.drop();
      this.trim(now);
    } else {
      // Kept events before one that is not kept would read as a log with a gap.
      this.empty();
    }
    return event;
  }

  read(request: ReadRequest): ReadResult {
    const tip = this.position;
    const oldest = this.oldest;
    if (!this.holds(request.epoch ?? this.epoch, request.from - 1)) {
      return { tip, continuous: false, oldest, events: [] };
    }
    const first = Math.max(request.from, oldest);
    const last = Math.min(request.until ?? tip.seq, tip.seq);
    const count = Math.max(0, Math.min(last - first + 1, request.limit));
    const start = request.reverse === true ? last : first;
    const step = request.reverse === true ? -1 : 1;
    const events: ChannelEvent[] = [];
    for (let taken = 0; taken < count; taken += 1) {
      const event = this.events.at(start + taken * step - oldest);
      // Under the epoch that a client which resumes continues with (P14): an event of an earlier one is read seldom.
      if (event !== undefined)
        events.push(event.epoch === tip.epoch ? event : new ChannelEvent({ ...event, epoch: tip.epoch }));
    }
    return { tip, continuous: true, oldest, events };
  }

  /**
   * Erases an event: its place stays, and is charged for what is left of it.
   *
   * @returns whether it is kept.
   */
  erase(seq: number): boolean {
    const { events } = this;
    const index = seq - this.oldest;
    const event = events.at(index);
    if (event === undefined) return false;
    if (event.isErased) return true;
    const left = ChannelEvent.erased(event);
    // An event that was small already may weigh less than what is left of it: it is charged for no more than it was.
    const bytes = Math.min(events.bytes(index), left.size);
    const weight = Math.min(events.weight(index), EVENT_BYTES + left.weight);
    this.size -= events.bytes(index) - bytes;
    this.heap -= events.weight(index) - weight;
    this.ledger.creditLoose(events.weight(index) - weight);
    events.replace(index, left, bytes, weight);
    return true;
  }

  /** Drops events that are older than the channel's `ttlMs`, as its last append gave it. */
  trim(now: number): void {
    while (this.until <= now) this.drop();
  }

  /** Drops the oldest event. */
  drop(): void {
    const { events } = this;
    if (events.length === 0) return;
    this.size -= events.bytes(0);
    this.heap -= events.weight(0) - EVENT_BYTES;
    this.ledger.creditLoose(events.weight(0));
    events.shift();
  }

  /** Drops every event; the numbers continue. */
  empty(): void {
    while (this.events.length > 0) this.drop();
  }

  /** Empties the log and begins an epoch: earlier positions are lost. @param base The epoch without its term. */
  clear(base: string): void {
    this.empty();
    this.base = base;
    this.epoch = inTerm(base, this.term);
    this.tip = 0;
    this.forks = [];
  }

  /** Loses every event after `keep`, and begins an epoch that continues from there (G6). @param base As of `clear`. */
  cut(base: string, keep: number): void {
    const lastSeq = Math.max(0, Math.min(keep, this.tip));
    const { events } = this;
    for (let newest = events.length - 1; newest >= 0 && this.oldest + newest > lastSeq; newest -= 1) {
      this.size -= events.bytes(newest);
      this.heap -= events.weight(newest) - EVENT_BYTES;
      this.ledger.creditLoose(events.weight(newest));
      events.pop();
      this.tip -= 1;
    }
    this.tip = lastSeq;
    this.base = base;
    this.fork(inTerm(base, this.term), lastSeq);
  }

  /**
   * Begins the epochs of the terms that began since the log was last used: positions stay true up to the tip, as nothing was appended
   * in between.
   */
  enterTerms(epochs: Epochs): void {
    if (epochs.term === this.term) return;
    for (const term of epochs.termsAfter(this.term)) this.enterTerm(term, this.tip);
  }

  /** Puts an event where it is missing, as it is read from the log again. @returns whether it was. */
  fill(request: AppendRequest, place: number, ts: number, local: number): boolean {
    const { events } = this;
    let [low, high] = [0, events.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (events.placeInLog(middle) < place) low = middle + 1;
      else high = middle;
    }
    if (low === events.length || events.placeInLog(low) !== place) return false;
    return events.fill(low, this.eventOf(request, this.oldest + low, ts, local));
  }

  /** Place of the first event that is missing; `Infinity` where none is. */
  get oldestMissing(): number {
    const { events } = this;
    for (let index = 0; index < events.length; index += 1)
      if (events.at(index) === undefined) return events.placeInLog(index);
    return Infinity;
  }

  /** Puts what cannot be read in the places of events that are still missing. @returns how many were. */
  fillRest(): number {
    const { channel, epoch, events } = this;
    let missing = 0;
    for (let index = 0; index < events.length; index += 1) {
      const place = { channel, epoch, seq: this.oldest + index, ts: 0 };
      if (events.fill(index, ChannelEvent.unreadable(place))) missing += 1;
    }
    return missing;
  }

  /** All of it but the events. */
  save(): ChannelLogState {
    const { tip, lastAt, ttlMs, size, heap, base, term, epoch, events } = this;
    const kept: KeptEventState[] = [];
    for (let index = 0; index < events.length; index += 1) {
      const event = events.at(index);
      const numbers = [events.appendedAt(index), events.bytes(index), events.weight(index)] as const;
      const place = events.placeInLog(index);
      kept.push(event?.isErased === true ? [...numbers, place, event.ts] : [...numbers, place]);
    }
    return {
      head: [tip, orNull(lastAt), orNull(ttlMs), size, heap, term],
      epochs: [base, epoch, ...this.forks.flatMap((fork) => [fork.epoch, fork.lastSeq])],
      kept,
    };
  }

  /** Into a new log; the ledger has the weights of the events already. */
  restore({ head, epochs, kept }: ChannelLogState): void {
    const [tip, lastAt, ttlMs, size, heap, term] = head;
    const [base, epoch, ...forks] = epochs;
    this.tip = tip;
    this.lastAt = lastAt ?? -Infinity;
    this.ttlMs = ttlMs ?? Infinity;
    this.size = size;
    this.heap = heap;
    this.base = base;
    this.term = term;
    this.epoch = epoch;
    this.forks = pairs(forks).map(([name, lastSeq]) => ({ epoch: String(name), lastSeq: Number(lastSeq) }));
    for (const [index, [appendedAt, bytes, weight, place, erasedTs]] of kept.entries()) {
      const at = { channel: this.channel, epoch, seq: tip - kept.length + 1 + index, ts: erasedTs ?? 0 };
      const event = erasedTs === undefined ? undefined : ChannelEvent.erased(at);
      this.events.push(event, appendedAt, bytes, weight, place);
    }
  }

  /** Begins the epoch of a term before which the log lost its end. @param since Machine time from which on nothing of it is sure. */
  lose(term: number, since: number): void {
    this.enterTerm(term, this.surelyBefore(since));
  }

  private enterTerm(term: number, lastSeq: number): void {
    this.term = term;
    this.fork(inTerm(this.base, term), lastSeq);
  }

  /** The last `seq` that was surely given before a time; 0 where that is not known any more. */
  private surelyBefore(time: number): number {
    const { events } = this;
    let left = events.length;
    while (left > 0 && events.appendedAt(left - 1) >= time) left -= 1;
    if (left > 0) return this.oldest + left - 1;
    return this.lastAt < time ? this.tip : 0;
  }

  /** Begins an epoch. @param lastSeq Up to where positions of the one before, and of all earlier ones, are true. */
  private fork(epoch: string, lastSeq: number): void {
    const earlier = this.forks.map((fork) => ({ ...fork, lastSeq: Math.min(fork.lastSeq, lastSeq) }));
    this.forks = [...earlier, { epoch: this.epoch, lastSeq }].slice(-MAX_FORKS);
    this.epoch = epoch;
  }

  private eventOf(
    { event: draft, bytes }: AppendRequest,
    seq: number,
    ts: number,
    local: number,
  ): ChannelEvent {
    return new ChannelEvent(
      {
        channel: this.channel,
        seq,
        epoch: this.epoch,
        ts,
        expiresAt: expiryOf(draft.ttl, 0, local),
        id: draft.id,
        event: draft.event,
        payload: draft.payload,
        user: draft.user,
        key: draft.key,
        ttl: draft.ttl,
        trace: draft.trace,
        meta: draft.meta,
      },
      bytes,
    );
  }

  private push(event: ChannelEvent, appendedAt: number, bytes: number, weight: number, place: number): void {
    this.events.push(event, appendedAt, bytes, weight, place);
    this.size += bytes;
    this.heap += weight - EVENT_BYTES;
    this.ledger.chargeLoose(weight);
  }

  private isAbove(maxBytes: number): boolean {
    return this.size > maxBytes || this.heap > MAX_HEAP_PER_BYTE * maxBytes;
  }

  /** Whether a position lies in a true prefix of this log. */
  private holds(epoch: string, seq: number): boolean {
    if (epoch === this.epoch) return seq <= this.tip;
    return this.forks.some((fork) => fork.epoch === epoch && seq <= fork.lastSeq);
  }
}

/** A kept event without what it says; of an erased one its `ts`, too: nothing else of it is in the log again. */
type KeptEventState = readonly [
  appendedAt: number,
  bytes: number,
  weight: number,
  place: number,
  erasedTs?: number,
];

/** A {@link ChannelLog} in a checkpoint. `null` is an infinite number. */
export interface ChannelLogState {
  readonly head: readonly [
    tip: number,
    lastAt: number | null,
    ttlMs: number | null,
    size: number,
    heap: number,
    term: number,
  ];
  /** The one it began, the one it has, and epoch and last `seq` of each earlier one. */
  readonly epochs: readonly [base: string, epoch: string, ...forks: (string | number)[]];
  readonly kept: readonly KeptEventState[];
}

function orNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function pairs<T>(list: readonly T[]): (readonly [T | undefined, T | undefined])[] {
  return list.flatMap((item, index) => (index % 2 === 0 ? [[item, list[index + 1]] as const] : []));
}

/** What a log answers that was never written: its position is stable, and nothing is stored for it. */
export function readUnwritten({ channel, epoch, from }: ReadRequest, epochs: Epochs): ReadResult {
  const continuous = from <= 1 && (epoch === undefined || epochs.isUnwritten(channel, epoch));
  return { tip: { epoch: epochs.of(channel), seq: 0 }, continuous, oldest: 1, events: [] };
}
