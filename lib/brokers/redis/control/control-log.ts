import type { ChannelEvent } from '../../../core/ports/channel-event.js';
import type { Clock } from '../../../core/ports/clock.js';
import type { Position } from '../../../protocol/position.js';
import { CONTROL_CHANNEL } from '../keys.js';
import type { RedisLog } from '../log.js';

const PAGE = 200;
const RETRY_MS = 500;

/** What the follower of the control records notifies its owner of. */
export interface ControlLogEvents {
  onRecord(event: ChannelEvent): void;
  /** Every record that was stored before the monotonic time `provenAt` has been handed out. */
  onCurrent(provenAt: number): void;
  /**
   * Records may be missing for good. Later ones wait for the result.
   *
   * @param isWhole `false` where the log itself was lost; `true` where it continues, and the missing records were trimmed or spoiled.
   */
  onLost(isWhole: boolean): Promise<void>;
}

/** Follows the log of control records: hands out each once, in order, whatever pub/sub lost (G11). */
export class ControlLog {
  /** The last record that was handed out; `undefined` until `start`. */
  private cursor: Position | undefined;
  /** Records that came before `start`. */
  private early: ChannelEvent[] = [];
  private healing = false;
  private again = false;
  private closed = false;

  constructor(
    private readonly log: RedisLog,
    private readonly clock: Clock,
    private readonly events: ControlLogEvents,
  ) {}

  /** @param tip Records up to it are not handed out. */
  start(tip: Position): void {
    this.cursor = tip;
    this.onEvents(this.early.splice(0));
  }

  /**
   * The log ended at `tip`, on a server that was certainly the master at `provenAt` or later. Where records are missing up to
   * there, they are read; a read itself proves nothing, as it may be of an old master.
   */
  compare(tip: Position, provenAt: number): void {
    if (this.healing || this.closed || this.cursor === undefined) return;
    const { epoch, seq } = this.cursor;
    if (tip.epoch === epoch && tip.seq <= seq) this.events.onCurrent(provenAt);
    else void this.heal(provenAt);
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
      if (this.cursor === undefined) {
        this.early.push(event);
        continue;
      }
      const { epoch, seq } = this.cursor;
      if (event.epoch === epoch && event.seq <= seq) continue;
      if (event.epoch !== epoch || event.seq !== seq + 1 || !event.isReadable) {
        void this.heal();
        return;
      }
      this.take(event);
    }
  }

  private take(event: ChannelEvent): void {
    this.cursor = { epoch: event.epoch, seq: event.seq };
    this.events.onRecord(event);
  }

  /** @param provenAt as in `compare`; `-Infinity` where a message was the reason. */
  private async heal(provenAt = -Infinity): Promise<void> {
    if (this.closed) return;
    this.healing = true;
    try {
      do {
        this.again = false;
        await this.readToTip();
      } while (this.again && !this.closed);
    } catch {
      this.clock.schedule(RETRY_MS, () => void this.heal(provenAt));
      return;
    }
    this.healing = false;
    this.events.onCurrent(provenAt);
  }

  private async readToTip(): Promise<void> {
    for (;;) {
      const { epoch, seq } = this.cursor ?? { epoch: '', seq: 0 };
      const page = await this.log.read({ channel: CONTROL_CHANNEL, epoch, from: seq + 1, limit: PAGE });
      if (this.closed) return;
      if (!page.continuous || (page.tip.seq > seq && page.oldest > seq + 1)) {
        await this.events.onLost(page.continuous);
        this.cursor = page.continuous ? { epoch: page.tip.epoch, seq: page.oldest - 1 } : page.tip;
        continue;
      }
      this.cursor = { epoch: page.tip.epoch, seq };
      for (const event of page.events) {
        // What a spoiled record said is not known: as if it had been trimmed.
        if (!event.isReadable) await this.events.onLost(true);
        if (this.closed) return;
        this.take(event);
      }
      if (this.cursor.seq >= page.tip.seq) return;
      if (page.events.length === 0) throw new Error('The log of control records has a gap');
    }
  }
}
