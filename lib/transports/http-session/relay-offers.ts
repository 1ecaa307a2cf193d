import type { Clock, Scheduled } from '../../core/ports/clock.js';
import { TRY_LATER } from '../http/refusal.js';
import { bytesIn, refusalAnswer, type Answer } from './answer.js';
import { mayHoldErased } from './erased-frames.js';

/** How long an answer is kept for a node that has yet to ask for it: longer than that node waits for room, and for the answer. */
const OFFER_MS = 15_000;
/** Most bytes of answers that are kept so. */
const MAX_OFFERED_BYTES = 32 * 1024 * 1024;

interface Offer {
  readonly answer: Answer;
  readonly bytes: number;
  readonly endsAt: number;
}

/** Large answers, until the nodes that they are for have room. */
export class RelayOffers {
  /** In the order of their ends. */
  private readonly offers = new Map<string, Offer>();
  private bytes = 0;
  private timer: Scheduled | undefined;

  constructor(private readonly clock: Clock) {}

  /** @returns `false` where too much waits already. */
  add(name: string, answer: Answer): boolean {
    const bytes = bytesIn(answer);
    if (this.bytes > 0 && this.bytes + bytes > MAX_OFFERED_BYTES) return false;
    this.take(name);
    this.offers.set(name, { answer, bytes, endsAt: this.clock.monotonic() + OFFER_MS });
    this.bytes += bytes;
    this.timer ??= this.clock.schedule(OFFER_MS, this.endDue);
    return true;
  }

  /** It is asked for, or nobody waits for it. */
  take(name: string): Answer | undefined {
    const offer = this.offers.get(name);
    if (offer === undefined) return undefined;
    this.offers.delete(name);
    this.bytes -= offer.bytes;
    if (this.offers.size === 0) {
      this.timer?.cancel();
      this.timer = undefined;
    }
    return offer.answer;
  }

  /** Events were erased: who asks for an answer that may hold one of them is to ask its session again. */
  erase(seqs: readonly number[]): void {
    for (const [name, offer] of this.offers) {
      if (!mayHoldErased(offer.answer.body, seqs)) continue;
      const answer = refusalAnswer(TRY_LATER);
      const bytes = bytesIn(answer);
      this.offers.set(name, { answer, bytes, endsAt: offer.endsAt });
      this.bytes += bytes - offer.bytes;
    }
  }

  private readonly endDue = (): void => {
    this.timer = undefined;
    const now = this.clock.monotonic();
    for (const [name, { endsAt }] of this.offers) {
      if (endsAt > now) {
        this.timer = this.clock.schedule(endsAt - now, this.endDue);
        return;
      }
      this.take(name);
    }
  };
}
