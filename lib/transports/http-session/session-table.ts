import { trimOldest } from '../../core/async/oldest.js';
import type { Clock, Scheduled } from '../../core/ports/clock.js';
import { CLOSE_CODES } from '../../protocol/close-codes.js';
import type { SessionEnd } from './answer.js';
import type { LastAnswer } from './carrier.js';
import { mayHoldErased } from './erased-frames.js';

/** Sessions whose end is remembered: their clients learn why. Those of the others take it for a cut. */
const MAX_ENDED = 10_000;

/** That of a session that has ended, as its requests have to be. */
interface KeptAnswer extends LastAnswer {
  readonly origin: string | undefined;
}

interface EndedSession extends SessionEnd {
  last: KeptAnswer | undefined;
  /** Number of the last body that was taken. */
  readonly taken: number;
  readonly forgetAt: number;
}

/** The sessions of a node by their ids; for a while also those that have ended. */
export class SessionTable<Session extends { readonly id: string }> {
  private readonly open = new Map<string, Session>();
  /** In the order of their ends. */
  private readonly ended = new Map<string, EndedSession>();
  private timer: Scheduled | undefined;

  /** @param rememberMs how long the end of a session is remembered. */
  constructor(
    private readonly clock: Clock,
    private readonly rememberMs: number,
  ) {}

  get size(): number {
    return this.open.size;
  }

  get(id: string): Session | undefined {
    return this.open.get(id);
  }

  /** How a session ended; `undefined` for one that is not remembered. */
  endOf(id: string): SessionEnd | undefined {
    return this.ended.get(id);
  }

  add(session: Session): void {
    this.open.set(session.id, session);
  }

  /** @param taken number of the last body that was taken. */
  end({ id }: Session, end: SessionEnd, taken = 0): void {
    if (!this.open.delete(id)) return;
    this.ended.set(id, {
      ...end,
      taken,
      last: undefined,
      forgetAt: this.clock.monotonic() + this.rememberMs,
    });
    trimOldest(this.ended, MAX_ENDED);
    this.timer ??= this.clock.schedule(this.rememberMs, this.forgetDue);
  }

  /** Whether the client of a session left with this body. */
  leftWith(id: string, number: number): boolean {
    const ended = this.ended.get(id);
    return ended?.code === CLOSE_CODES.normal.code && ended.taken === number;
  }

  /** Keeps the last answer of a session that has ended. */
  keep(id: string, last: KeptAnswer): void {
    const ended = this.ended.get(id);
    if (ended !== undefined) ended.last = last;
  }

  /** Takes that answer, for a poll that acknowledges the one before it. @returns `other` for one of another origin. */
  takeLast(id: string, acknowledged: number, origin: string | undefined): LastAnswer | 'other' | undefined {
    const ended = this.ended.get(id);
    const last = ended?.last;
    if (ended === undefined || last === undefined) return undefined;
    if (last.origin !== origin) return 'other';
    if (last.acknowledged !== acknowledged) return undefined;
    ended.last = undefined;
    return last;
  }

  /** Events were erased: a last answer that may hold one of them is not given. */
  erase(seqs: readonly number[]): void {
    for (const ended of this.ended.values())
      if (ended.last !== undefined && mayHoldErased(ended.last.body, seqs)) ended.last = undefined;
  }

  /** Forgets those that have ended. */
  close(): void {
    this.timer?.cancel();
    this.ended.clear();
  }

  private readonly forgetDue = (): void => {
    this.timer = undefined;
    const now = this.clock.monotonic();
    for (const [id, { forgetAt }] of this.ended) {
      if (forgetAt > now) {
        this.timer = this.clock.schedule(forgetAt - now, this.forgetDue);
        return;
      }
      this.ended.delete(id);
    }
  };
}
