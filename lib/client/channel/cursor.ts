import type { GapPayload, SubscribeResult } from '../../protocol/messages.js';
import type { Position } from '../../protocol/position.js';
import type { ChannelGap } from './types.js';

/** The part of an event that places it in the log. */
export type Placed = Position;

/** A range that was skipped without an announcement, to be read with `history`. */
export interface Hole {
  /** Names this reading; an answer to an earlier one is ignored. */
  readonly token: number;
  readonly epoch: string;
  readonly from: number;
  readonly until: number;
}

/** A page of `history` for a {@link Hole}. */
export interface HolePage<Event extends Placed> {
  /** Epoch of the log's tip when it was read. */
  readonly epoch: string;
  /** Ascending. */
  readonly events: readonly Event[];
  readonly more: boolean;
}

/** What the cursor wants done; it never waits for it. */
export interface CursorSink<Event extends Placed> {
  /** The next event; the cursor stands at it already. */
  deliver(event: Event): void;
  gap(gap: ChannelGap): void;
  resumed(position: Position): void;
  /** Read this range and hand it to `page`, or call `pageFailed`. */
  fetch(hole: Hole): void;
  /** Subscribe again from `position`; nothing is taken until `answer`. */
  resubscribe(why: string): void;
}

type Held<Event> =
  | { readonly kind: 'event'; readonly top: number; readonly event: Event }
  | { readonly kind: 'gap'; readonly top: number; readonly epoch: string; readonly gap: GapPayload }
  | { readonly kind: 'resumed'; readonly top: number; readonly position: Position };

/**
 * Where one subscription stands in its log (P14), free of I/O and time. It moves only by a delivered event, by a
 * gap, and by the server's answer; inside an epoch never backwards. So each event is delivered once and in order,
 * or the exact range that is missing is told (G2, G3).
 */
export class Cursor<Event extends Placed> {
  private current: Position | undefined;
  /** Whether a subscription is live: before its answer nothing is taken. */
  private listening = false;
  /** End of an announced partial range: up to here `seq` only has to ascend (P25). */
  private partialTo = 0;
  private hole: Hole | undefined;
  /** What came behind the hole, in order. */
  private held: Held<Event>[] = [];
  private tokens = 0;

  constructor(
    private readonly sink: CursorSink<Event>,
    private readonly maxHeld: number,
  ) {}

  /** Everything up to here has been delivered or announced; `undefined` before the first answer. */
  get position(): Position | undefined {
    return this.current;
  }

  /** Begins anew from a stored position, or from none. */
  start(position: Position | undefined): void {
    this.stop();
    this.current = position;
  }

  /** The subscription is gone; the position stays, to resume from. */
  stop(): void {
    this.listening = false;
    this.partialTo = 0;
    this.hole = undefined;
    this.held = [];
  }

  /**
   * The answer to `subscribe` (P11).
   *
   * @returns The range that was missed and will not follow, with `truncated`.
   */
  answer(result: SubscribeResult): ChannelGap | undefined {
    const own = this.current;
    this.stop();
    this.listening = true;
    const { epoch, seq } = result.position;
    switch (result.recovery) {
      case 'complete':
        this.current = { epoch, seq: own?.seq ?? seq };
        return undefined;
      case 'truncated': {
        const before = (result.from ?? seq + 1) - 1;
        // The count goes on from epoch to epoch where a position is honoured at all, so the two can be compared.
        const last = own?.seq ?? before;
        this.current = { epoch, seq: Math.max(before, last) };
        if (before <= last) return undefined;
        const reason = result.cause ?? 'trimmed';
        return { epoch, from: last + 1, to: before, reason, partial: false, recoverable: reason === 'limit' };
      }
      default:
        this.current = { epoch, seq };
        return undefined;
    }
  }

  /**
   * The log under the live subscription changed.
   *
   * @returns `false` when there is no live subscription that it could concern; else as {@link answer}.
   */
  reset(result: SubscribeResult): ChannelGap | undefined | false {
    if (!this.listening || this.current === undefined) return false;
    // What came before the reset on this channel's lane came before it here, so a partial range is over.
    this.move(this.covered);
    if (result.recovery !== 'complete') return this.answer(result);
    if (this.hole !== undefined) {
      // The server counts from what it sent, we from before the hole: resume from there under the new epoch.
      this.current = { epoch: result.position.epoch, seq: this.current.seq };
      this.giveUp('The log changed while a jump was read');
      return undefined;
    }
    this.current = { epoch: result.position.epoch, seq: this.current.seq };
    this.partialTo = 0;
    return undefined;
  }

  event(event: Event): void {
    if (this.accepts(event.epoch)) this.take({ kind: 'event', top: event.seq, event });
  }

  gap(epoch: string, gap: GapPayload): void {
    if (this.accepts(epoch)) this.take({ kind: 'gap', top: gap.to, epoch, gap });
  }

  /** The end of a replay (P12): also a proof of where the log stood. */
  resumed(position: Position): void {
    if (this.accepts(position.epoch)) this.take({ kind: 'resumed', top: position.seq, position });
  }

  /** A page of what was skipped. What the log no longer holds of it is told as a gap. */
  page(token: number, page: HolePage<Event>): void {
    const { hole } = this;
    if (hole === undefined || hole.token !== token) return;
    if (page.epoch !== hole.epoch) {
      this.giveUp('The log changed while a jump was read');
      return;
    }
    const before = this.seq;
    for (const event of page.events) {
      if (event.seq <= this.seq || event.seq > hole.until) continue;
      this.skipTo(event.seq - 1);
      if (this.hole?.token !== token) return;
      this.move(event.seq);
      this.sink.deliver(event);
      // The handler may have unsubscribed.
      if (this.hole?.token !== token) return;
    }
    if (page.more && this.seq > before && this.seq < hole.until) {
      this.open(this.seq + 1, hole.until);
      return;
    }
    this.skipTo(hole.until);
    if (this.hole?.token === token) this.release();
  }

  /** The range could not be read: a resume tells what is missing (P13). */
  pageFailed(token: number, why: string): void {
    if (this.hole?.token === token) this.giveUp(why);
  }

  private get seq(): number {
    return this.current?.seq ?? 0;
  }

  /** Up to here everything came or is announced. */
  private get covered(): number {
    return Math.max(this.seq, this.partialTo);
  }

  private accepts(epoch: string): boolean {
    if (!this.listening || this.current === undefined) return false;
    if (epoch === this.current.epoch) return true;
    this.giveUp('Another epoch without a reset');
    return false;
  }

  private take(item: Held<Event>): void {
    if (this.hole !== undefined) {
      this.hold(item);
      return;
    }
    switch (item.kind) {
      case 'event':
        this.takeEvent(item);
        break;
      case 'gap':
        this.takeGap(item);
        break;
      case 'resumed':
        this.takeResumed(item);
    }
  }

  private takeEvent(item: Held<Event> & { kind: 'event' }): void {
    const { seq } = item.event;
    if (seq <= this.seq) return;
    if (seq > this.covered + 1) {
      this.jump(seq - 1, item);
      return;
    }
    this.move(seq);
    this.sink.deliver(item.event);
  }

  private takeGap(item: Held<Event> & { kind: 'gap' }): void {
    const { from, to, reason, partial = false, recoverable } = item.gap;
    if (to <= this.seq) return;
    if (from > this.covered + 1) {
      this.jump(from - 1, item);
      return;
    }
    // An earlier partial range ends where something beyond it begins.
    if (from > this.partialTo) this.move(this.covered);
    const gap: ChannelGap = {
      epoch: item.epoch,
      from: Math.max(from, this.seq + 1),
      to,
      reason,
      partial,
      recoverable,
    };
    if (partial) this.partialTo = Math.max(this.partialTo, to);
    else this.move(to);
    this.sink.gap(gap);
  }

  private takeResumed(item: Held<Event> & { kind: 'resumed' }): void {
    if (item.position.seq > this.covered) {
      this.jump(item.position.seq, item);
      return;
    }
    if (item.position.seq >= this.partialTo) this.move(this.covered);
    this.sink.resumed(item.position);
  }

  private move(seq: number): void {
    if (this.current !== undefined && seq > this.current.seq)
      this.current = { epoch: this.current.epoch, seq };
  }

  /** Announces what lies between the cursor and `seq`, for it is no longer in the log. */
  private skipTo(to: number): void {
    const from = this.seq + 1;
    if (from > to || this.current === undefined) return;
    this.move(to);
    this.sink.gap({
      epoch: this.current.epoch,
      from,
      to,
      reason: 'expired',
      partial: false,
      recoverable: false,
    });
  }

  /** Something lies beyond events that nobody announced as missing. */
  private jump(until: number, item: Held<Event>): void {
    this.move(this.covered);
    this.held = [item];
    this.open(this.seq + 1, until);
  }

  private open(from: number, until: number): void {
    this.hole = { token: ++this.tokens, epoch: this.current?.epoch ?? '', from, until };
    this.sink.fetch(this.hole);
  }

  private hold(item: Held<Event>): void {
    // A repeat would cost memory and be dropped later anyway.
    const top = this.held.at(-1)?.top ?? 0;
    if (item.kind === 'event' && item.top <= top) return;
    if (this.held.length < this.maxHeld) this.held.push(item);
    else this.giveUp('More events came behind a jump than are held');
  }

  /** The hole is filled; what was held may itself hold a jump. */
  private release(): void {
    const { held } = this;
    this.hole = undefined;
    this.held = [];
    for (const item of held) {
      if (!this.listening) return;
      this.take(item);
    }
  }

  private giveUp(why: string): void {
    this.stop();
    this.sink.resubscribe(why);
  }
}
