import type { Position } from '../../protocol/position.js';
import type { ChannelEvent } from '../ports/channel-event.js';
import {
  isGuarded,
  type ChannelDefinition,
  type SnapshotHandler,
  type SnapshotState,
} from '../ports/channel-definition.js';
import type { ReadResult, SignalMessage } from '../ports/broker.js';
import type { Clock, Scheduled } from '../ports/clock.js';
import type { Observer } from '../ports/observer.js';
import type { AccessGuard } from '../access/access-guard.js';
import { encodedOnce } from '../outbox/encoder.js';
import { EventBatch } from '../outbox/event-batch.js';
import { EventRing } from '../log/event-ring.js';
import type { FlushableChannel, FlushScheduler } from '../outbox/flush-scheduler.js';
import { PresenceFeed } from './presence-feed.js';
import type { Subscriber } from './subscriber.js';

interface SnapshotRun extends Position {
  readonly handler: SnapshotHandler;
  readonly result: Promise<SnapshotState>;
}

/** What the channels of one node share. */
export interface LocalChannelOptions<S extends Subscriber> {
  readonly ringSize: number;
  readonly scheduler: FlushScheduler;
  readonly clock: Clock;
  readonly observer: Observer;
  readonly access: Pick<AccessGuard, 'isFrozen'>;
  /** Takes over a live subscription that missed something: it catches up from the log. */
  readonly onBehind: (subscription: S) => void;
}

/**
 * A channel as this node serves it: the tip that it knows, the newest events, and who is told. Events enter in
 * order and without holes (the `OrderKeeper` sees to that) and leave once per turn as one shared batch.
 */
export class LocalChannel<S extends Subscriber> implements FlushableChannel {
  /** Newest event that this node has; what is committed here is the `position` of subscribe answers. */
  tip: Position = { epoch: '', seq: 0 };
  readonly ring: EventRing;
  /** Everybody with a place in the channel, catching up or live. */
  readonly subscriptions = new Set<S>();
  /** Interest that keeps the channel served: subscriptions, and subscribes that are under way. */
  interest = 0;
  lingering: Scheduled | undefined;
  /** Reads that prove positions, until the turn of their answer is over; by epoch, or by position. */
  readonly proofs = new Map<string, Promise<ReadResult>>();
  /** There where the channel keeps presence. */
  readonly presence: PresenceFeed | undefined;
  /** Whether subscribers need an authorization, which can be revoked. */
  readonly isGuarded: boolean;
  /** A snapshot that is being made, and the tip that it was begun at (P26). */
  private snapshotRun: SnapshotRun | undefined;
  private readonly live: S[] = [];
  private pending: ChannelEvent[] = [];

  constructor(
    readonly name: string,
    readonly definition: ChannelDefinition,
    private readonly options: LocalChannelOptions<S>,
  ) {
    this.ring = new EventRing(options.ringSize);
    this.isGuarded = isGuarded(definition);
    const { presence } = definition.policy;
    if (presence !== false) this.presence = new PresenceFeed(this, presence.maxMembers, options.clock);
  }

  /** Whether nothing of the channel may be written: a revoke may be in force that this node does not know (G11). */
  get isWithheld(): boolean {
    return this.options.access.isFrozen(this.definition);
  }

  get pendingCount(): number {
    return this.pending.length;
  }

  /** Takes the event that follows the tip. */
  accept(event: ChannelEvent): void {
    this.tip = event;
    this.ring.push(event);
    if (this.live.length === 0) return;
    if (this.pending.length === 0) this.options.scheduler.channel(this);
    this.pending.push(event);
  }

  /** Begins another log: what is pending belongs to the old one and is delivered first. */
  moveTo(tip: Position): void {
    this.flush();
    this.tip = { epoch: tip.epoch, seq: tip.seq };
    this.ring.clear();
  }

  /** Gives up what is missing before `seq`: it cannot be had any more. The subscriptions are told by the caller. */
  skipTo(seq: number): void {
    this.flush();
    this.tip = { epoch: this.tip.epoch, seq };
    this.ring.clear();
  }

  goLive(subscription: S): void {
    subscription.goLive(this.live.length);
    this.live.push(subscription);
  }

  stopLive(subscription: S): void {
    if (!subscription.live) return;
    const index = subscription.liveIndex;
    subscription.stopLive();
    const last = this.live.pop() as S;
    if (last === subscription) return;
    this.live[index] = last;
    last.goLive(index);
  }

  /** Takes every subscription out of live delivery: it goes on from the log, when it may. */
  withhold(): void {
    for (let last = this.live.at(-1); last !== undefined; last = this.live.at(-1)) this.stopLive(last);
  }

  /** Subscribers of one moment share one run of the snapshot handler, so a thousand newcomers cost one query (P26). */
  sharedSnapshot(
    handler: SnapshotHandler,
    { epoch, seq }: Position,
    run: () => Promise<SnapshotState>,
  ): Promise<SnapshotState> {
    const current = this.snapshotRun;
    if (current?.handler === handler && current.epoch === epoch && current.seq === seq) return current.result;
    const mine = { handler, epoch, seq, result: run() };
    this.snapshotRun = mine;
    const forget = (): void => {
      if (this.snapshotRun === mine) this.snapshotRun = undefined;
    };
    mine.result.then(forget, forget);
    return mine.result;
  }

  remove(subscription: S): void {
    this.stopLive(subscription);
    this.subscriptions.delete(subscription);
    this.presence?.remove(subscription);
  }

  /** Hands the turn's events to the live subscriptions. */
  flush(): void {
    if (this.pending.length === 0) return;
    const { pending } = this;
    this.pending = [];
    // Once per batch, not per subscription: when it is, nobody is live any more, and the log has the events.
    if (this.isWithheld) return;
    const batch = new EventBatch(pending);
    const { clock, observer } = this.options;
    const now = clock.now();
    const shareable = !batch.events.some((event) => event.isExpired(now));
    observer.onDelivery?.(this.definition.pattern, pending.length, this.live.length);
    // Counted down: a session that is closed for being slow takes itself out of the list.
    for (let index = this.live.length - 1; index >= 0; index--) {
      const subscription = this.live[index];
      if (subscription !== undefined) this.deliver(subscription, batch, shareable);
    }
  }

  /** Passes an ephemeral message on; encoded once per variant, dropped where the queue is full. */
  signal(signal: SignalMessage): void {
    if (this.isWithheld) return;
    const ts = this.options.clock.now();
    const encode = encodedOnce({ type: 'signal', channel: this.name, ts, ...signal });
    for (const subscription of this.subscriptions) {
      const { outbox } = subscription;
      outbox.pushDroppable(encode(outbox.connection.variant), subscription);
    }
  }

  private deliver(subscription: S, batch: EventBatch, shareable: boolean): void {
    const { outbox } = subscription;
    if (shareable && subscription.cursor === batch.first - 1 && outbox.isIdle) {
      const frame = batch.frameFor(outbox.connection.variant);
      if (outbox.takes(batch, frame)) {
        subscription.advance(batch.last);
        outbox.writeShared(frame);
        return;
      }
    }
    if (batch.first > subscription.cursor + 1) {
      this.stopLive(subscription);
      return this.options.onBehind(subscription);
    }
    for (const event of batch.events) {
      if (event.seq <= subscription.cursor) continue;
      subscription.advance(event.seq);
      outbox.pushEvent(subscription, event);
      if (subscription.ended) return;
    }
  }
}
