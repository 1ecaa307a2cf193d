import type { Envelope } from '../../../lib/protocol/envelope.js';
import type { GapPayload, SubscribeResult } from '../../../lib/protocol/messages.js';
import type { Position } from '../../../lib/protocol/position.js';

/** An event as it was delivered. */
export interface FollowedEvent {
  readonly epoch: string;
  readonly seq: number;
  readonly id: string;
  readonly payload: unknown;
}

/** What the server said is missing; `to` is `Infinity` where everything behind `from` is (`lost`). */
export interface MissingRange {
  readonly epoch: string;
  readonly from: number;
  readonly to: number;
  readonly why: string;
}

/** A promise of the server that it did not keep. */
export class BrokenPromise extends Error {
  override readonly name = 'BrokenPromise';
}

/**
 * The cursor of P14, for one channel, without the lenience of a real client: on one connection the server itself owes
 * every event once and in order, or the range that is missing. What a client would mend with `history` is a failure here.
 */
export class ChannelFollower {
  /** Where the client is; `undefined` before the first answer. */
  position: Position | undefined;
  readonly delivered: FollowedEvent[] = [];
  readonly missing: MissingRange[] = [];
  /** What an application that keeps every event believes of the log: ids by seq. */
  readonly view = new Map<number, string>();
  /** How the subscription began, each time. */
  readonly recoveries: SubscribeResult[] = [];
  private partialTo = 0;
  private resumedAt: number | undefined;
  private subscribed = false;

  constructor(readonly channel: string) {}

  /** Whether the replay of the last answer is still under way. */
  get isReplaying(): boolean {
    return this.resumedAt !== undefined;
  }

  get isSubscribed(): boolean {
    return this.subscribed;
  }

  /** The subscription, or its connection, is over. */
  stop(): void {
    this.subscribed = false;
    this.resumedAt = undefined;
    this.partialTo = 0;
  }

  onAnswer(result: SubscribeResult): void {
    if (this.subscribed) throw this.broken('a second answer', result);
    this.subscribed = true;
    this.apply(result);
  }

  /** Takes an envelope of this channel; others are not looked at. @throws BrokenPromise */
  onEnvelope(envelope: Omit<Envelope, 'payload'> & { readonly payload?: unknown }): void {
    if (envelope.channel !== this.channel) return;
    const { type } = envelope;
    if (type !== 'event' && type !== 'gap' && type !== 'resumed' && type !== 'reset') return;
    // P24a: after the end of a subscription nothing of it comes before the answer to the next one.
    if (!this.subscribed || this.position === undefined)
      throw this.broken('without a subscription', envelope);
    if (type === 'reset') return this.onReset(envelope.payload as SubscribeResult);
    if (envelope.epoch !== this.position.epoch) throw this.broken('of another epoch', envelope);
    if (type === 'event') this.onEvent(envelope as Envelope & { seq: number; id: string });
    else if (type === 'gap') this.onGap(envelope.payload as GapPayload);
    else this.onResumed(envelope.seq);
  }

  /** Up to here everything was delivered or announced. */
  get covered(): number {
    return Math.max(this.position?.seq ?? 0, this.partialTo);
  }

  private onReset(result: SubscribeResult): void {
    const { epoch } = this.position as Position;
    if (result.position.epoch === epoch) throw this.broken('a reset without a new epoch', result);
    this.position = { epoch, seq: this.covered };
    this.apply(result);
  }

  private apply(result: SubscribeResult): void {
    const { recovery, position } = result;
    const before = this.position;
    this.recoveries.push(result);
    this.partialTo = 0;
    this.resumedAt = recovery === 'complete' || recovery === 'truncated' ? position.seq : undefined;
    // Whoever begins anew forgets what was before.
    if (recovery === 'new' || recovery === 'lost') this.view.clear();
    if (recovery === 'new') {
      this.position = position;
      return;
    }
    if (before === undefined) throw this.broken('a recovery of a position that was never sent', result);
    if (recovery === 'lost') {
      this.missing.push({ epoch: before.epoch, from: before.seq + 1, to: Infinity, why: `${result.reason}` });
      this.position = position;
      return;
    }
    if (before.seq > position.seq) throw this.broken('a recovery of a position beyond the tip', result);
    const from = recovery === 'complete' ? before.seq + 1 : (result.from as number);
    if (recovery === 'truncated') {
      if (from <= before.seq + 1 || result.to !== position.seq)
        throw this.broken('truncated to nothing', result);
      this.missing.push({
        epoch: position.epoch,
        from: before.seq + 1,
        to: from - 1,
        why: `${result.cause}`,
      });
    }
    this.position = { epoch: position.epoch, seq: from - 1 };
  }

  private onEvent(event: Envelope & { seq: number; id: string }): void {
    const { epoch, seq } = this.position as Position;
    if (event.seq <= seq) throw this.broken('a repeat', event);
    if (event.seq > this.covered + 1) throw this.broken('a hole that nothing announced', event);
    if (this.resumedAt !== undefined && event.seq > this.resumedAt)
      throw this.broken('live before resumed', event);
    this.position = { epoch, seq: event.seq };
    this.view.set(event.seq, event.id);
    this.delivered.push({ epoch, seq: event.seq, id: event.id, payload: event.payload });
  }

  private onGap(gap: GapPayload): void {
    const { epoch, seq } = this.position as Position;
    if (gap.from > gap.to) throw this.broken('an empty gap', gap);
    if (gap.to <= seq) throw this.broken('a gap behind the cursor', gap);
    // P25: one gap precedes a thinned batch.
    if (gap.partial === true && gap.to <= this.partialTo) throw this.broken('a second partial gap', gap);
    if (gap.from > this.covered + 1) throw this.broken('a hole before a gap', gap);
    if (this.resumedAt !== undefined && gap.to > this.resumedAt)
      throw this.broken('a gap beyond resumed', gap);
    this.missing.push({ epoch, from: Math.max(gap.from, seq + 1), to: gap.to, why: gap.reason });
    if (gap.partial === true) this.partialTo = gap.to;
    else this.position = { epoch, seq: gap.to };
  }

  private onResumed(seq: number | undefined): void {
    if (this.resumedAt === undefined) throw this.broken('resumed without a replay', { seq });
    if (seq !== this.resumedAt || this.covered !== seq)
      throw this.broken('resumed at another place', { seq });
    this.resumedAt = undefined;
  }

  private broken(what: string, cause: unknown): BrokenPromise {
    const { position, partialTo, resumedAt } = this;
    return new BrokenPromise(
      `${this.channel}: ${what}: ${JSON.stringify(cause)?.slice(0, 300)} at ${JSON.stringify({ position, partialTo, resumedAt })}`,
    );
  }
}
