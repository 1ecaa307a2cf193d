import { ChannelEvent, expiryOf, type EventDraft } from '../../core/ports/channel-event.js';
import type { LogPolicy, ReadRequest, ReadResult } from '../../core/ports/broker.js';
import type { Position } from '../../protocol/position.js';
import { RingBuffer } from './ring.js';

/** An earlier epoch, and the `seq` up to which it is a true prefix of the log (P10). */
interface Fork {
  readonly epoch: string;
  readonly lastSeq: number;
}

/** Earlier epochs that are remembered; positions of older ones are lost. */
const MAX_FORKS = 8;

/** The log of one channel: numbers every event, keeps the newest (P10). */
export class ChannelLog {
  private tip = 0;
  private ttlMs = Infinity;
  private readonly events = new RingBuffer<ChannelEvent>();
  private forks: readonly Fork[] = [];

  constructor(
    private readonly channel: string,
    private epoch: string,
  ) {}

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

  append(draft: EventDraft, policy: LogPolicy, now: number, monotonic: number): ChannelEvent {
    this.tip += 1;
    const event = new ChannelEvent({
      channel: this.channel,
      seq: this.tip,
      epoch: this.epoch,
      ts: now,
      expiresAt: expiryOf(draft.ttl, 0, monotonic),
      id: draft.id,
      event: draft.event,
      payload: draft.payload,
      user: draft.user,
      key: draft.key,
      ttl: draft.ttl,
      trace: draft.trace,
      meta: draft.meta,
    });
    if (policy.retain && policy.size > 0) {
      this.ttlMs = policy.ttlMs;
      this.events.push(event);
      while (this.events.length > policy.size) this.events.shift();
      this.trim(now);
    } else if (this.events.length > 0) {
      // Retention was switched off. Kept events before one that is not kept would read as a log with a gap.
      this.events.clear();
    }
    return event;
  }

  read(request: ReadRequest, now: number): ReadResult {
    this.trim(now);
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
      if (event !== undefined) events.push(event);
    }
    return { tip, continuous: true, oldest, events };
  }

  /** Drops events that are older than the channel's `ttlMs`, as its last append gave it. */
  trim(now: number): void {
    for (
      let first = this.events.at(0);
      first !== undefined && now - first.ts >= this.ttlMs;
      first = this.events.at(0)
    ) {
      this.events.shift();
    }
  }

  /** Empties the log and begins an epoch: earlier positions are lost. */
  clear(epoch: string): void {
    this.epoch = epoch;
    this.tip = 0;
    this.events.clear();
    this.forks = [];
  }

  /** Loses every event after `keep`, and begins an epoch that continues from there (G6). */
  fork(epoch: string, keep: number): void {
    const lastSeq = Math.max(0, Math.min(keep, this.tip));
    const kept: ChannelEvent[] = [];
    for (let event = this.events.shift(); event !== undefined; event = this.events.shift()) {
      // A client that resumes continues under the new epoch (P14), so the events must carry it.
      if (event.seq <= lastSeq) kept.push(new ChannelEvent({ ...event, epoch }));
    }
    for (const event of kept) this.events.push(event);
    this.tip = lastSeq;
    const earlier = this.forks.map((fork) => ({ ...fork, lastSeq: Math.min(fork.lastSeq, lastSeq) }));
    this.forks = [...earlier, { epoch: this.epoch, lastSeq }].slice(-MAX_FORKS);
    this.epoch = epoch;
  }

  /** Whether a position lies in a true prefix of this log. */
  private holds(epoch: string, seq: number): boolean {
    if (epoch === this.epoch) return seq <= this.tip;
    return this.forks.some((fork) => fork.epoch === epoch && seq <= fork.lastSeq);
  }
}
