import type { GapPayload, SubscribeResult } from '../../protocol/messages.js';
import type { Position } from '../../protocol/position.js';
import type { ChannelGap } from './types.js';

/** What a cursor reports. */
export interface CursorEvents<Event extends Position> {
  /** The next event. The cursor's position is already the event's. */
  deliver(event: Event): void;
  gap(gap: ChannelGap): void;
  resumed(position: Position): void;
  /** Something is missing that nobody announced: subscribe again from `position`. The cursor takes nothing until `answer`. */
  resubscribe(): void;
}

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

  constructor(private readonly events: CursorEvents<Event>) {}

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
    if (!this.listening) return false;
    // What the server sent before the reset came before it, so a partial range is over.
    this.move(this.covered);
    return this.answer(result);
  }

  event(event: Event): void {
    const { epoch, seq } = event;
    if (!this.follows(epoch, seq - 1) || seq <= this.seq) return;
    this.current = { epoch, seq };
    this.events.deliver(event);
  }

  gap(epoch: string, { from, to, reason, partial = false, recoverable }: GapPayload): void {
    if (!this.follows(epoch, from - 1) || to <= this.seq) return;
    // An earlier partial range ends where something beyond it begins.
    if (from > this.partialTo) this.move(this.covered);
    const gap = { epoch, from: Math.max(from, this.seq + 1), to, reason, partial, recoverable };
    if (partial) this.partialTo = Math.max(this.partialTo, to);
    else this.move(to);
    this.events.gap(gap);
  }

  /** The end of a replay (P12), which also proves where the log stood. */
  resumed(position: Position): void {
    if (!this.follows(position.epoch, position.seq)) return;
    if (position.seq >= this.partialTo) this.move(this.covered);
    this.events.resumed(position);
  }

  private get seq(): number {
    return this.current?.seq ?? 0;
  }

  /** Everything up to here came or is announced. */
  private get covered(): number {
    return Math.max(this.seq, this.partialTo);
  }

  /** Whether something that comes behind `last` may be taken. If it leaves out events, or is of another log, a resume tells (P13). */
  private follows(epoch: string, last: number): boolean {
    if (!this.listening) return false;
    const isSame = epoch === this.current?.epoch;
    if (isSame && last <= this.covered) return true;
    if (isSame) this.move(this.covered);
    this.stop();
    this.events.resubscribe();
    return false;
  }

  private move(seq: number): void {
    if (this.current !== undefined && seq > this.seq) this.current = { epoch: this.current.epoch, seq };
  }
}
