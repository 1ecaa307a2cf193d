import type { Position } from '../../protocol/position.js';
import { ChannelEvent } from '../ports/channel-event.js';
import type { ServedChannel } from './subscription.js';
import type { EnginePorts } from '../ports/settings.js';
import type { Erasures } from '../log/erasures.js';
import type { RetryQueue } from '../async/retry-queue.js';

/** Most events, and bytes of them, that wait behind a gap; the others are read from the log again. */
const MAX_HELD = 1024;
const MAX_HELD_BYTES = 4 * 1024 * 1024;
/** Events of one ranged read. */
const HEAL_PAGE = 500;

export interface OrderKeeperDeps extends Pick<EnginePorts, 'log' | 'clock' | 'logger' | 'observer'> {
  readonly retries: RetryQueue;
  readonly erasures: Pick<Erasures, 'cleanse' | 'covers'>;
}

/** What the keeper cannot decide alone. */
export interface OrderKeeperEvents {
  /** The channel's log has another epoch: subscribers must be sent `reset` (G6). */
  onNewEpoch(channel: ServedChannel, tip: Position): void;
  /** The log no longer has these events: subscribers must be sent `gap`. */
  onLostRange(channel: ServedChannel, from: number, to: number): void;
}

/**
 * Makes a channel's events contiguous, however they arrive from the broker (G5): repeats are dropped, a gap is read from the
 * log once, and later events wait for it.
 */
export class OrderKeeper {
  private readonly held = new Map<number, ChannelEvent>();
  private heldBytes = 0;
  private healing = false;
  /** An event that came during a read may be newer than its answer. */
  private lookAgain = false;
  private healed: (() => void)[] = [];
  private closed = false;

  constructor(
    private readonly channel: ServedChannel,
    private readonly deps: OrderKeeperDeps,
    private readonly owner: OrderKeeperEvents,
  ) {}

  onEvents(events: readonly ChannelEvent[]): void {
    for (const event of events) this.onEvent(event);
  }

  /** Compares the channel with the log, heals it where they differ, and calls back when they agree. */
  verify(then: () => void): void {
    this.healed.push(then);
    this.heal();
  }

  /** Events were erased: of those that wait, their places stay. */
  erase(): void {
    const { erasures } = this.deps;
    for (const event of [...this.held.values()]) {
      if (!erasures.covers(event)) continue;
      this.unhold(event.seq);
      this.hold(ChannelEvent.erased(event));
    }
  }

  close(): void {
    this.closed = true;
    this.healed = [];
    this.clearHeld();
  }

  private onEvent(event: ChannelEvent): void {
    const { tip } = this.channel;
    if (event.epoch !== tip.epoch) {
      // Only the broker knows which of the two epochs is the newer one.
      this.lookAgain = this.healing;
      this.heal();
    } else if (event.seq === tip.seq + 1) {
      this.channel.accept(event);
      if (this.held.size > 0) this.releaseHeld();
    } else if (event.seq > tip.seq) {
      this.hold(event);
      this.heal();
    }
  }

  private hold(event: ChannelEvent): void {
    if (this.held.has(event.seq)) return;
    if (this.held.size >= MAX_HELD || this.heldBytes + event.size > MAX_HELD_BYTES) return;
    this.held.set(event.seq, event);
    this.heldBytes += event.size;
  }

  private unhold(seq: number): ChannelEvent | undefined {
    const event = this.held.get(seq);
    if (event === undefined) return undefined;
    this.held.delete(seq);
    this.heldBytes -= event.size;
    return event;
  }

  private clearHeld(): void {
    this.held.clear();
    this.heldBytes = 0;
  }

  private releaseHeld(): void {
    for (let next = this.takeHeld(); next !== undefined; next = this.takeHeld()) this.channel.accept(next);
  }

  private takeHeld(): ChannelEvent | undefined {
    const event = this.unhold(this.channel.tip.seq + 1);
    return event?.epoch === this.channel.tip.epoch ? event : undefined;
  }

  /** Reads from the tip on until nothing is missing; one read at a time, however many events arrive behind the gap. */
  private heal(): void {
    if (this.healing || this.closed) return;
    this.healing = true;
    this.lookAgain = false;
    this.readOn().then(
      (done) => {
        this.healing = false;
        if (!done || this.lookAgain) return this.heal();
        for (const then of this.healed.splice(0)) then();
      },
      (error: unknown) => {
        this.deps.logger.debug(`Reading a gap from the log failed and is tried again: ${String(error)}`);
        this.deps.retries.later(() => {
          this.healing = false;
          this.heal();
        });
      },
    );
  }

  /** @returns whether the channel is contiguous with the log again. */
  private async readOn(): Promise<boolean> {
    const { tip, name, definition } = this.channel;
    const { log, observer, clock } = this.deps;
    const startedAt = observer.onHeal === undefined ? 0 : clock.monotonic();
    const page = await log.read({
      channel: name,
      epoch: tip.epoch,
      from: tip.seq + 1,
      limit: HEAL_PAGE,
    });
    observer.onHeal?.(definition.pattern, page.events.length, clock.monotonic() - startedAt);
    if (this.closed) return true;
    if (page.tip.epoch !== this.channel.tip.epoch) {
      this.clearHeld();
      this.owner.onNewEpoch(this.channel, page.tip);
      // Events of the new epoch that came during the read were not kept: read again.
      return false;
    }
    // Events may have come while the read was under way: only those after the present tip count.
    const next = this.channel.tip.seq + 1;
    const resumeAt = Math.min(page.oldest, page.tip.seq + 1);
    if (resumeAt > next) this.owner.onLostRange(this.channel, next, resumeAt - 1);
    for (const event of this.deps.erasures.cleanse(name, page.events)) {
      if (event.seq === this.channel.tip.seq + 1) this.channel.accept(event);
    }
    for (const seq of this.held.keys()) if (seq <= this.channel.tip.seq) this.unhold(seq);
    this.releaseHeld();
    const done = this.held.size === 0 && this.channel.tip.seq >= page.tip.seq;
    // Events beyond the end of the log: a server that lags behind answered the read. Another read at once would ask it again.
    if (!done && this.channel.tip.seq === tip.seq)
      throw new Error('The log that was read ends before events that arrived: a replica lags behind');
    return done;
  }
}
