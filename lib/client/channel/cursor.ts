import type { GapPayload, SubscribeResult } from '../../protocol/messages.js';
import type { Position } from '../../protocol/position.js';
import type { ChannelGap } from './types.js';

/** A gap that the server did not announce, whose events are read with `history`. Both bounds are inclusive. */
export interface UnannouncedGap {
  /** Identifies this reading; a page of an earlier one is ignored. */
  readonly token: number;
  readonly epoch: string;
  readonly from: number;
  readonly until: number;
}

/** A page of `history` for an {@link UnannouncedGap}. */
export interface GapPage<Event extends Position> {
  /** Epoch of the log's tip when the page was read. */
  readonly epoch: string;
  /** Ascending. */
  readonly events: readonly Event[];
  readonly more: boolean;
}

/** What a cursor reports, and what it asks for without waiting for it. */
export interface CursorEvents<Event extends Position> {
  /** The next event. The cursor's position is already the event's. */
  deliver(event: Event): void;
  gap(gap: ChannelGap): void;
  resumed(position: Position): void;
  /** Read this range and hand it to `page`, or call `pageFailed`. */
  read(gap: UnannouncedGap): void;
  /** Subscribe again from `position`; the cursor takes nothing until `answer`. */
  resubscribe(): void;
}

type Item<Event> =
  | { readonly kind: 'event'; readonly top: number; readonly event: Event }
  | { readonly kind: 'gap'; readonly top: number; readonly epoch: string; readonly gap: GapPayload }
  | { readonly kind: 'resumed'; readonly top: number; readonly position: Position };

/**
 * The position of one subscription in its log (P14), free of I/O and time. It moves only by a delivered event, by a gap,
 * and by the server's answer; within an epoch never backwards. So each event is delivered once and in order, or the exact
 * range that is missing is announced.
 */
export class Cursor<Event extends Position> {
  private current: Position | undefined;
  /** Whether a subscription is live: before its answer nothing is taken. */
  private listening = false;
  /** End of an announced partial range: up to here `seq` only has to ascend (P25). */
  private partialTo = 0;
  private reading: UnannouncedGap | undefined;
  /** What came behind the gap that is being read, in order. */
  private held: Item<Event>[] = [];
  private tokens = 0;

  constructor(
    private readonly events: CursorEvents<Event>,
    private readonly maxHeld: number,
  ) {}

  /** Everything up to here has been delivered or announced; `undefined` before the first answer. */
  get position(): Position | undefined {
    return this.current;
  }

  /** Starts from a stored position, or from none. */
  start(position: Position | undefined): void {
    this.stop();
    this.current = position;
  }

  /** The subscription is gone; the position stays, to resume from. */
  stop(): void {
    this.listening = false;
    this.partialTo = 0;
    this.reading = undefined;
    this.held = [];
  }

  /**
   * The answer to `subscribe` (P11).
   *
   * @returns With `truncated`: the range that was missed and will not follow.
   */
  answer({ position, recovery, from, cause }: SubscribeResult): ChannelGap | undefined {
    const { epoch, seq } = position;
    // The count continues from epoch to epoch where a position is accepted at all, so the two can be compared.
    const last = this.current?.seq;
    this.stop();
    this.listening = true;
    this.current = { epoch, seq: recovery === 'complete' ? (last ?? seq) : seq };
    if (recovery !== 'truncated') return undefined;
    const to = (from ?? seq + 1) - 1;
    this.current = { epoch, seq: Math.max(to, last ?? to) };
    if (last === undefined || to <= last) return undefined;
    const reason = cause ?? 'trimmed';
    return { epoch, from: last + 1, to, reason, partial: false, recoverable: reason === 'limit' };
  }

  /**
   * The log under the live subscription changed.
   *
   * @returns `false` when there is no live subscription that it could concern; else as {@link answer}.
   */
  reset(result: SubscribeResult): ChannelGap | undefined | false {
    if (!this.listening || this.current === undefined) return false;
    // What the server sent before the reset came before it, so a partial range is over.
    this.move(this.covered);
    if (result.recovery !== 'complete') return this.answer(result);
    this.current = { epoch: result.position.epoch, seq: this.seq };
    this.partialTo = 0;
    // The server counts from what it sent, the cursor from before the gap: resume from there in the new epoch.
    if (this.reading !== undefined) this.resubscribe();
    return undefined;
  }

  event(event: Event): void {
    this.accept(event.epoch, { kind: 'event', top: event.seq, event });
  }

  gap(epoch: string, gap: GapPayload): void {
    this.accept(epoch, { kind: 'gap', top: gap.to, epoch, gap });
  }

  /** The end of a replay (P12), which also proves where the log stood. */
  resumed(position: Position): void {
    this.accept(position.epoch, { kind: 'resumed', top: position.seq, position });
  }

  /** A page of an unannounced gap. What the log no longer holds of it is announced as a gap. */
  page(token: number, page: GapPage<Event>): void {
    const { reading } = this;
    if (reading === undefined || reading.token !== token) return;
    if (page.epoch !== reading.epoch) {
      this.resubscribe();
      return;
    }
    const before = this.seq;
    for (const event of page.events) {
      if (event.seq <= this.seq || event.seq > reading.until) continue;
      this.skipTo(event.seq - 1);
      // A listener may have unsubscribed, here and below.
      if (this.reading?.token !== token) return;
      this.move(event.seq);
      this.events.deliver(event);
      if (this.reading?.token !== token) return;
    }
    if (page.more && this.seq > before && this.seq < reading.until) {
      this.read(reading.until);
      return;
    }
    this.skipTo(reading.until);
    if (this.reading?.token === token) this.release();
  }

  /** The range could not be read. A resume tells what is missing (P13). */
  pageFailed(token: number): void {
    if (this.reading?.token === token) this.resubscribe();
  }

  private get seq(): number {
    return this.current?.seq ?? 0;
  }

  /** Everything up to here came or is announced. */
  private get covered(): number {
    return Math.max(this.seq, this.partialTo);
  }

  private accept(epoch: string, item: Item<Event>): void {
    if (!this.listening || this.current === undefined) return;
    // Another epoch without a reset.
    if (epoch !== this.current.epoch) this.resubscribe();
    else if (this.reading !== undefined) this.hold(item);
    else this.take(item);
  }

  private take(item: Item<Event>): void {
    switch (item.kind) {
      case 'event':
        if (item.top <= this.seq) return;
        if (this.isBeyondGap(item.top - 1, item)) return;
        this.move(item.top);
        this.events.deliver(item.event);
        return;
      case 'gap':
        this.takeGap(item.epoch, item.gap, item);
        return;
      case 'resumed':
        if (this.isBeyondGap(item.top, item)) return;
        if (item.top >= this.partialTo) this.move(this.covered);
        this.events.resumed(item.position);
    }
  }

  private takeGap(
    epoch: string,
    { from, to, reason, partial = false, recoverable }: GapPayload,
    item: Item<Event>,
  ): void {
    if (to <= this.seq || this.isBeyondGap(from - 1, item)) return;
    // An earlier partial range ends where something beyond it begins.
    if (from > this.partialTo) this.move(this.covered);
    const gap = { epoch, from: Math.max(from, this.seq + 1), to, reason, partial, recoverable };
    if (partial) this.partialTo = Math.max(this.partialTo, to);
    else this.move(to);
    this.events.gap(gap);
  }

  private move(seq: number): void {
    if (this.current !== undefined && seq > this.current.seq)
      this.current = { epoch: this.current.epoch, seq };
  }

  /** Announces what lies between the cursor and `to`, as the log no longer holds it. */
  private skipTo(to: number): void {
    const from = this.seq + 1;
    if (from > to || this.current === undefined) return;
    this.move(to);
    const { epoch } = this.current;
    this.events.gap({ epoch, from, to, reason: 'expired', partial: false, recoverable: false });
  }

  /** Whether events up to `until` are missing that nobody announced. They are read, and `item` is held until then. */
  private isBeyondGap(until: number, item: Item<Event>): boolean {
    if (until <= this.covered) return false;
    this.move(this.covered);
    this.held = [item];
    this.read(until);
    return true;
  }

  private read(until: number): void {
    this.reading = { token: ++this.tokens, epoch: this.current?.epoch ?? '', from: this.seq + 1, until };
    this.events.read(this.reading);
  }

  private hold(item: Item<Event>): void {
    // A repeat would cost memory and be dropped later anyway.
    const top = this.held.at(-1)?.top ?? 0;
    if (item.kind === 'event' && item.top <= top) return;
    if (this.held.length < this.maxHeld) this.held.push(item);
    else this.resubscribe();
  }

  /** The gap was read. What was held may itself lie beyond a gap. */
  private release(): void {
    const { held } = this;
    this.reading = undefined;
    this.held = [];
    for (const item of held) {
      if (!this.listening) return;
      if (this.reading === undefined) this.take(item);
      else this.hold(item);
    }
  }

  private resubscribe(): void {
    this.stop();
    this.events.resubscribe();
  }
}
