import type { ChannelEvent } from '../../../core/ports/channel-event.js';
import type { Position } from '../../../protocol/position.js';
import { CONTROL_CHANNEL } from '../keys.js';
import type { RedisLog } from '../log.js';

const PAGE = 200;
const RETRY_MS = 500;

/** What the follower cannot decide alone. */
export interface ControlLogOwner {
  onRecord(event: ChannelEvent): void;
  /** Every record that was stored before the monotonic time `askedAt` has been handed out. */
  onCurrent(askedAt: number): void;
  /** Monotonic time, in milliseconds. */
  monotonic(): number;
  /** Records may be missing for good: the log was lost, or what is missing was trimmed. */
  onLost(): Promise<void>;
  schedule(ms: number, task: () => void): void;
}

/** Follows the log of control records: each once, in order, whatever pub/sub lost (G11). */
export class ControlLog {
  private cursor: Position = { epoch: '', seq: 0 };
  private healing = false;
  private again = false;
  private closed = false;

  constructor(
    private readonly log: RedisLog,
    private readonly owner: ControlLogOwner,
  ) {}

  /** @param tip What is behind it is not told. */
  start(tip: Position, early: readonly ChannelEvent[]): void {
    this.cursor = tip;
    this.onEvents(early);
  }

  /** The log ended at `tip`, at `askedAt` or later. What is missing up to there is read, and that read is the proof. */
  compare(tip: Position, askedAt: number): void {
    if (this.healing || this.closed) return;
    if (tip.epoch === this.cursor.epoch && tip.seq <= this.cursor.seq) this.owner.onCurrent(askedAt);
    else void this.heal();
  }

  close(): void {
    this.closed = true;
  }

  onEvents(events: readonly ChannelEvent[]): void {
    if (this.healing) {
      this.again = true;
      return;
    }
    for (const event of events) {
      if (event.epoch === this.cursor.epoch && event.seq <= this.cursor.seq) continue;
      if (event.epoch !== this.cursor.epoch || event.seq !== this.cursor.seq + 1) {
        void this.heal();
        return;
      }
      this.take(event);
    }
  }

  private take(event: ChannelEvent): void {
    this.cursor = { epoch: event.epoch, seq: event.seq };
    this.owner.onRecord(event);
  }

  private async heal(): Promise<void> {
    this.healing = true;
    try {
      do {
        this.again = false;
        await this.readOn();
      } while (this.again && !this.closed);
    } catch {
      this.owner.schedule(RETRY_MS, () => void this.heal());
      return;
    }
    this.healing = false;
  }

  private async readOn(): Promise<void> {
    for (;;) {
      const { epoch, seq } = this.cursor;
      const askedAt = this.owner.monotonic();
      const page = await this.log.read({ channel: CONTROL_CHANNEL, epoch, from: seq + 1, limit: PAGE });
      if (this.closed) return;
      if (!page.continuous || (page.tip.seq > seq && page.oldest > seq + 1)) {
        await this.owner.onLost();
        this.cursor = page.continuous ? { epoch: page.tip.epoch, seq: page.oldest - 1 } : page.tip;
        continue;
      }
      this.cursor = { epoch: page.tip.epoch, seq };
      for (const event of page.events) this.take(event);
      if (this.cursor.seq >= page.tip.seq) return this.owner.onCurrent(askedAt);
      if (page.events.length === 0) throw new Error('The control log has a hole');
    }
  }
}
