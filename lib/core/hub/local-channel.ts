import type { Position } from '../../protocol/position.js';
import { ChannelEvent } from '../ports/channel-event.js';
import {
  isGuarded,
  type ChannelDefinition,
  type SnapshotHandler,
  type SnapshotState,
} from '../ports/channel-definition.js';
import type { ReadResult, SignalMessage } from '../ports/broker.js';
import type { EnginePorts } from '../ports/settings.js';
import type { FirstEventSpan } from '../ports/tracer.js';
import type { AccessGuard } from '../access/access-guard.js';
import type { OverloadSwitch } from '../access/overload-switch.js';
import { partialGap } from '../outbox/entry.js';
import { encodedOnce, EventBatch, type OnUnwritable } from '../outbox/encoder.js';
import { EventRing, type RingBudget } from '../log/event-ring.js';
import type { FlushableChannel, FlushScheduler } from '../outbox/flush-scheduler.js';
import type { PublishSample } from '../log/publish-sample.js';
import type { ChannelCounts, PatternCounts } from './channel-counts.js';
import { PresenceFeed } from './presence-feed.js';
import type { LowPriority } from './low-priority.js';
import { FirstEvents } from './first-events.js';
import type { Subscriber } from './subscriber.js';
import { thinOut, type Missing } from './thinned-events.js';

/** Bytes of a batch at which it is delivered before the end of the turn. */
const MAX_PENDING_BYTES = 1024 * 1024;
/** Events that wait at most while the channel is thinned out, before those that newer ones replace go. Half of both may stay. */
const MAX_HELD = 1_024;

interface SnapshotRun extends Position {
  readonly handler: SnapshotHandler;
  readonly result: Promise<SnapshotState>;
}

/** Follows which channels have subscribers on this node. */
export interface Occupancy {
  /** A channel got its first. */
  begin(channel: string): void;
  /** It lost its last. */
  end(channel: string): void;
}

/** What the channels of one node share. */
export interface LocalChannelDeps<S extends Subscriber> extends Pick<
  EnginePorts,
  'clock' | 'observer' | 'tracer'
> {
  readonly ringSize: number;
  readonly ringBytes: number;
  readonly ringBudget: RingBudget;
  readonly counts: ChannelCounts;
  readonly sample: PublishSample;
  readonly scheduler: FlushScheduler;
  readonly access: Pick<AccessGuard, 'isFrozen'>;
  readonly overload: Pick<OverloadSwitch, 'isOn'>;
  readonly lowPriority: LowPriority;
  /** Called with a live subscription that missed events: it catches up from the log. */
  readonly onBehind: (subscription: S) => void;
  readonly onUnwritable: OnUnwritable;
  readonly occupancy?: Occupancy | undefined;
}

/**
 * A channel as this node serves it: its tip, its newest events, and its subscriptions. Events come in order and without
 * gaps (the `OrderKeeper` takes care of that) and leave once per turn as one shared batch.
 */
export class LocalChannel<S extends Subscriber> implements FlushableChannel {
  /** Position of the newest event that this node has: the `position` of subscribe answers. */
  tip: Position = { epoch: '', seq: 0 };
  readonly ring: EventRing;
  /** All subscriptions, catching up or live. */
  private readonly subscribed = new Set<S>();
  /** Reads that prove positions, by epoch or position; each is kept until the end of the turn of its answer. */
  readonly proofs = new Map<string, Promise<ReadResult>>();
  /** `undefined` where the channel keeps no presence. */
  readonly presence: PresenceFeed | undefined;
  /** Whether subscribers need an authorization, which can be revoked. */
  readonly isGuarded: boolean;
  /** The snapshot that is being made, with the tip at its start (P26). */
  private snapshotRun: SnapshotRun | undefined;
  private readonly counts: PatternCounts;
  private readonly live: S[] = [];
  private pending: ChannelEvent[] = [];
  private pendingBytes = 0;
  /** When the first of them came, where somebody wants to know. */
  private pendingSince = 0;
  /** What was left out of {@link pending}, while the node sheds load. */
  private missing: Missing | undefined;
  /** Where its priority is low. */
  private readonly low: LowPriority | undefined;
  /** Subscriptions whose first event is waited for; `undefined` where none is, as where nothing is traced. */
  private firsts: FirstEvents<S> | undefined;

  constructor(
    readonly name: string,
    readonly definition: ChannelDefinition,
    private readonly options: LocalChannelDeps<S>,
  ) {
    this.ring = new EventRing(options.ringSize, options.ringBytes, options.ringBudget);
    this.isGuarded = isGuarded(definition);
    this.counts = options.counts.of(definition.pattern);
    this.counts.channels++;
    const { presence, priority } = definition.policy;
    if (priority === 'low') this.low = options.lowPriority;
    if (presence !== false) this.presence = new PresenceFeed(this, presence.maxMembers, options);
  }

  /** Whether nothing of the channel may be written: a revoke may be in force that this node does not know of (G11). */
  get isFrozen(): boolean {
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
    const isHeld = this.low?.isHolding === true;
    if (this.pending.length === 0) this.begin(isHeld);
    this.pending.push(event);
    this.pendingBytes += event.size;
    if (isHeld) {
      if (this.pending.length >= MAX_HELD || this.pendingBytes >= MAX_PENDING_BYTES) this.thinOut();
    } else if (this.pendingBytes >= MAX_PENDING_BYTES) this.flush();
  }

  private begin(isHeld: boolean): void {
    const { scheduler, observer, clock } = this.options;
    if (isHeld) this.low?.hold(this);
    else scheduler.channel(this);
    if (observer.onDeliveryEnd !== undefined) this.pendingSince = clock.monotonic();
  }

  /** Continues with another epoch of the log. Pending events belong to the one before and are delivered first. */
  moveTo(tip: Position): void {
    this.flush();
    // Their next message is `reset`.
    this.firsts?.abandonAll();
    this.tip = { epoch: tip.epoch, seq: tip.seq };
    this.ring.clear();
    this.options.sample.abandon(this.name);
  }

  /** Skips events up to `seq`, which the log no longer has. The caller announces the gap to the subscriptions. */
  skipTo(seq: number): void {
    this.flush();
    this.tip = { epoch: this.tip.epoch, seq };
    this.ring.clear();
    this.options.sample.abandon(this.name);
  }

  get subscriptions(): ReadonlySet<S> {
    return this.subscribed;
  }

  /** Whether what is published is delivered to somebody here. */
  get isHeard(): boolean {
    return this.live.length > 0;
  }

  add(subscription: S): void {
    this.subscribed.add(subscription);
    this.counts.subscriptions++;
    if (this.subscribed.size === 1) this.options.occupancy?.begin(this.name);
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
    // Who continues from the log has it later, and is timed as one who does.
    if (!this.isHeard) this.options.sample.abandon(this.name);
    if (last === subscription) return;
    this.live[index] = last;
    last.goLive(index);
  }

  /** Takes every subscription out of live delivery: each continues from the log once delivery is no longer frozen. */
  freeze(): void {
    for (let last = this.live.at(-1); last !== undefined; last = this.live.at(-1)) this.stopLive(last);
  }

  /** Subscribers at the same tip share one run of the snapshot handler: a thousand newcomers cost one query (P26). */
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

  /** Events were erased: nothing that this channel holds for later has more of them than their places. */
  erase(covers: (event: ChannelEvent) => boolean): void {
    const left = (event: ChannelEvent): ChannelEvent | undefined =>
      covers(event) ? ChannelEvent.erased(event) : undefined;
    this.ring.replace(left);
    this.pending = this.pending.map((event) => left(event) ?? event);
    this.options.sample.abandon(this.name);
    // The newest event is the tip.
    this.tip = { epoch: this.tip.epoch, seq: this.tip.seq };
    // What is being made may have them; who subscribes from now on is given a state of its own.
    this.snapshotRun = undefined;
  }

  /** Holds nothing of the log any more, and stays where it is. */
  forgetEvents(): void {
    this.skipTo(this.tip.seq);
    this.snapshotRun = undefined;
  }

  /** The node no longer serves the channel. */
  close(): void {
    this.low?.forget(this);
    this.ring.clear();
    this.presence?.close();
    this.counts.channels--;
  }

  remove(subscription: S): void {
    this.stopLive(subscription);
    this.firsts?.abandon(subscription);
    if (this.subscribed.delete(subscription)) {
      this.counts.subscriptions--;
      if (this.subscribed.size === 0) this.options.occupancy?.end(this.name);
    }
    this.presence?.remove(subscription);
  }

  /** Hands the turn's events to the live subscriptions. */
  flush(): void {
    if (this.pending.length === 0) return;
    if (this.low?.isHolding === true) this.thinOut();
    const { pending, missing } = this;
    this.pending = [];
    this.pendingBytes = 0;
    this.missing = undefined;
    // Checked once per batch, not per subscription: when it is frozen no subscription is live, and the log has the events.
    if (this.isFrozen) return;
    const { observer, tracer, onUnwritable } = this.options;
    const { retain } = this.definition.policy.log;
    const gap = missing && { ...missing, recoverable: retain };
    const batch = new EventBatch(pending, onUnwritable, gap);
    const span = tracer?.delivering(this.definition.pattern, this.name, pending);
    const sessions = this.live.length;
    const shareable = !this.hasExpired(batch.events);
    observer.onDelivery?.(this.definition.pattern, pending.length, sessions);
    // Counted down: a session that is closed for being slow removes itself from the list.
    for (let index = this.live.length - 1; index >= 0; index--) {
      const subscription = this.live[index];
      if (subscription !== undefined) this.deliver(subscription, batch, shareable);
    }
    this.firsts?.delivered(pending);
    span?.end(sessions);
    this.delivered(batch);
  }

  /** Waits for the first event that a subscription is sent from now on. */
  awaitFirst(subscription: S, span: FirstEventSpan): void {
    (this.firsts ??= new FirstEvents()).add(subscription, span);
  }

  /** A subscription that is behind was sent this event. */
  replayed(subscription: S, event: ChannelEvent): void {
    this.firsts?.sent(subscription, event);
  }

  private delivered({ events }: EventBatch): void {
    const { observer, clock, sample } = this.options;
    const { pattern } = this.definition;
    observer.onDeliveryEnd?.(pattern, clock.monotonic() - this.pendingSince);
    if (observer.onPublishDelivered === undefined || !sample.isOf(this.name)) return;
    const durationMs = sample.end(events, clock.monotonic());
    if (durationMs !== undefined) observer.onPublishDelivered(pattern, durationMs);
  }

  /** Sends an ephemeral message: encoded once per variant, dropped where a queue is full. */
  signal(signal: SignalMessage): void {
    const { clock, onUnwritable, observer, overload } = this.options;
    if (this.isFrozen || overload.isOn('presence')) return;
    let sent = 0;
    let dropped = 0;
    const envelope = { type: 'signal', channel: this.name, ts: clock.now(), ...signal };
    const encode = encodedOnce(envelope, onUnwritable);
    for (const subscription of this.subscriptions) {
      if (subscription.isWithheld) continue;
      const { outbox } = subscription;
      const bytes = encode(outbox.connection.variant);
      if (bytes === undefined) continue;
      if (outbox.pushDroppable(bytes, subscription)) sent++;
      else dropped++;
    }
    observer.onSignal?.(this.definition.pattern, sent, dropped);
  }

  /** Keeps what is newest of the events that wait. */
  private thinOut(): void {
    const most = { events: MAX_HELD / 2, bytes: MAX_PENDING_BYTES / 2 };
    const { events, missing } = thinOut(this.pending, this.missing, most);
    this.pending = [...events];
    this.pendingBytes = events.reduce((sum, { size }) => sum + size, 0);
    this.missing = missing;
    if (missing !== undefined) this.options.sample.abandon(this.name);
  }

  private noteGap(events: number): void {
    const { pattern, policy } = this.definition;
    this.options.observer.onGap?.(pattern, 'conflated', events, policy.overflow);
  }

  /** Reads the clock only where an event has a `ttl`. */
  private hasExpired(events: readonly ChannelEvent[]): boolean {
    if (!events.some((event) => event.expiresAt !== Infinity)) return false;
    const now = this.options.clock.monotonic();
    return events.some((event) => event.isExpired(now));
  }

  private deliver(subscription: S, batch: EventBatch, shareable: boolean): void {
    const { outbox } = subscription;
    if (shareable && subscription.cursor === batch.first - 1 && outbox.isIdle) {
      const frame = batch.frameFor(outbox.connection.variant);
      if (frame !== undefined && outbox.takes(batch, frame)) {
        subscription.advance(batch.last);
        outbox.writeShared(frame);
        if (batch.gap !== undefined) this.noteGap(batch.gap.count);
        return;
      }
    }
    if (batch.first > subscription.cursor + 1) {
      this.stopLive(subscription);
      return this.options.onBehind(subscription);
    }
    let { gap } = batch;
    // Who reads slowly is not sent more announcements than it reads: it continues from the log when it does.
    if (gap !== undefined && !outbox.hasRoom) {
      this.stopLive(subscription);
      return this.options.onBehind(subscription);
    }
    for (const event of batch.events) {
      if (event.seq <= subscription.cursor) continue;
      if (gap !== undefined && event.seq > gap.from) {
        const from = Math.max(gap.from, subscription.cursor + 1);
        const { to, count, recoverable } = gap;
        if (from <= to)
          outbox.pushGap(subscription, partialGap(from, to, recoverable, subscription.epoch, count));
        gap = undefined;
      }
      subscription.advance(event.seq);
      outbox.pushEvent(subscription, event);
      if (subscription.ended) return;
    }
  }
}
