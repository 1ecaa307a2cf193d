import type { Envelope } from '../../protocol/envelope.js';
import type { GapReason } from '../../protocol/position.js';
import type { ChannelEvent } from '../channel/channel-event.js';
import { applyOverflow } from '../delivery/overflow.js';
import type { Subscription } from '../delivery/subscription.js';
import type { OutboxLimits } from '../engine/engine.options.js';
import { encodeEnvelope, encodeEvent } from '../hub/encoder.js';
import type { EventBatch } from '../hub/event-batch.js';
import type { FlushScheduler, Flushable } from '../hub/flush.scheduler.js';
import type { Clock } from '../ports/clock.js';
import type { Connection } from './connection.js';
import { OutboxQueue, type GapEntry, type QueueEntry } from './outbox.queue.js';

/** Most bytes of one frame that the outbox assembles; what is more goes into the next. */
const MAX_FRAME_BYTES = 64 * 1024;
/** Share of the limits below which catch-up may add more. */
const ROOM = 0.25;

/** What an outbox asks of its session. */
export interface OutboxOwner {
  /** The client reads too slowly and nothing may be dropped. */
  onSlowConsumer(): void;
  /** The server cannot go on with this client. */
  onFailed(): void;
  /** A frame is about to leave. */
  onSent(): void;
}

/**
 * Everything that waits for one client, in two lanes (P24): the connection lane overtakes, the channel lane keeps
 * its order. Bounded in bytes and messages (G13); what the socket holds back counts.
 */
export class Outbox implements Flushable {
  readonly queue = new OutboxQueue();
  private control: Buffer[] = [];
  private controlBytes = 0;
  /** Shared frames of this turn; they precede whatever is queued after them. */
  private readonly staged: Buffer[] = [];
  private stagedBytes = 0;
  private scheduled = false;
  private blocked = false;
  private closed = false;
  private roomWaiters: (() => void)[] = [];
  private droppedTails: Set<Subscription> | undefined;

  constructor(
    readonly connection: Connection,
    private readonly limits: OutboxLimits,
    private readonly scheduler: FlushScheduler,
    private readonly clock: Clock,
    private readonly owner: OutboxOwner,
  ) {}

  /** Whether a frame may go straight to the socket without overtaking anything. */
  get isIdle(): boolean {
    return (
      !this.blocked &&
      !this.closed &&
      this.queue.isEmpty &&
      this.control.length === 0 &&
      // Their announcement has its place before whatever comes next.
      this.droppedTails === undefined
    );
  }

  /** Bytes that wait in this process. */
  get bufferedBytes(): number {
    return this.queue.bytes + this.stagedBytes + this.connection.bufferedBytes;
  }

  /** Whether the socket takes bytes and the queue is short enough for more of a replay. */
  get hasRoom(): boolean {
    return (
      !this.blocked &&
      this.queue.bytes < this.limits.maxBytes * ROOM &&
      this.queue.length < this.limits.maxMessages * ROOM
    );
  }

  /** Calls back once when there is room again. */
  whenRoom(callback: () => void): void {
    this.roomWaiters.push(callback);
    this.schedule();
  }

  /** Queues a message of the connection lane. */
  pushControl(envelope: Envelope): void {
    if (this.closed) return;
    // Answers to commands that cost the client nothing come here: who asks and does not read must not fill the memory.
    if (this.isControlFull) this.flush();
    if (this.isControlFull) return this.owner.onSlowConsumer();
    const bytes = this.encode(envelope);
    this.control.push(bytes);
    this.controlBytes += bytes.length;
    this.schedule();
  }

  /**
   * Queues an answer or a message of the channel lane that may not be dropped: past the limit the client is too slow.
   * The limit is asked before: a single answer may be larger than it, e.g. a snapshot.
   */
  pushData(envelope: Envelope, subscription?: Subscription): void {
    if (this.closed) return;
    if (this.isOver(0, 0)) this.flush();
    if (this.isOver(0, 0)) return this.owner.onSlowConsumer();
    // Under the epoch that it was dropped in: a `reset` may be what follows.
    if (subscription !== undefined) this.announceDroppedTail(subscription);
    this.append({ bytes: this.encode(envelope), subscription, ref: envelope.ref });
  }

  /** Queues shared bytes that may be dropped in silence: signals. Returns whether they were queued. */
  pushDroppable(bytes: Buffer, subscription: Subscription): boolean {
    if (this.closed || this.isOver(bytes.length, 1)) return false;
    this.append({ bytes, subscription });
    return true;
  }

  /** Queues one event of a subscription under the overflow policy of its channel (G13). */
  pushEvent(subscription: Subscription, event: ChannelEvent): void {
    if (this.closed) return;
    const bytes = encodeEvent(event, this.connection.variant);
    // A burst may exceed the limit although the socket would take it all: only what the client does not read counts.
    if (this.isOver(bytes.length, 1)) this.flush();
    if (this.isOver(bytes.length, 1)) {
      const verdict = applyOverflow(subscription, event, this.queue, (length) =>
        this.isOver(bytes.length + length, 1),
      );
      if (verdict === 'disconnect') return this.owner.onSlowConsumer();
      if (verdict === 'dropped') {
        (this.droppedTails ??= new Set()).add(subscription);
        return this.schedule();
      }
    }
    this.announceDroppedTail(subscription);
    this.append({ bytes, subscription, event });
  }

  /** Queues one event of a replay. It was pulled while there was room, so it never counts as overflow (P12). */
  pushReplay(subscription: Subscription, event: ChannelEvent): void {
    if (this.closed) return;
    this.append({ bytes: encodeEvent(event, this.connection.variant), subscription, event });
  }

  /** Queues a message that belongs between the events of a replay, under the same rule. */
  pushReplayMarker(subscription: Subscription, envelope: Envelope): void {
    if (this.closed) return;
    this.append({ bytes: this.encode(envelope), subscription });
  }

  /** Queues the announcement of a range that will not come (P25). */
  pushGap(
    subscription: Subscription,
    from: number,
    to: number,
    reason: GapReason,
    recoverable: boolean,
  ): void {
    if (this.closed) return;
    this.append({
      subscription,
      gap: { from, to, reason, partial: false, recoverable, epoch: subscription.epoch },
    });
  }

  /**
   * Writes a frame that many sessions share; only while {@link isIdle}. When several channels flush in this turn the frame
   * waits for the end of it, so that a session of more than one of them is written to once.
   */
  writeShared(frame: Buffer): void {
    if (this.scheduler.channelsInTurn > 1) {
      this.staged.push(frame);
      this.stagedBytes += frame.length;
      this.schedule();
      return;
    }
    this.owner.onSent();
    this.write(frame);
  }

  /** Whether a batch may bypass the queue's limits: it may be as large as the queue itself. */
  takes(batch: EventBatch, frame: Buffer): boolean {
    return (
      this.stagedBytes + frame.length <= this.limits.maxBytes &&
      batch.events.length <= this.limits.maxMessages
    );
  }

  /**
   * Forgets what is queued of a subscription: nothing of it comes any more (P24).
   *
   * @returns the commands whose answers were among it; the caller answers them otherwise.
   */
  purge(subscription: Subscription): readonly string[] {
    this.droppedTails?.delete(subscription);
    subscription.dropped = undefined;
    return this.queue.purge(subscription);
  }

  /** The socket takes bytes again. */
  onDrain(): void {
    this.blocked = false;
    this.flush();
  }

  /** Ends the session with 4005: the client comes back with its positions. */
  fail(): void {
    this.owner.onFailed();
  }

  /** Drops everything; later calls do nothing. */
  close(): void {
    this.closed = true;
    this.queue.clear();
    this.control = [];
    this.controlBytes = 0;
    this.staged.length = 0;
    this.stagedBytes = 0;
    this.roomWaiters = [];
    this.droppedTails = undefined;
  }

  /** Writes what is queued, in frames of bounded size, until the socket holds back. */
  flush(): void {
    this.scheduled = false;
    if (this.staged.length > 0) this.writeStaged();
    while (!this.blocked && !this.closed && (this.control.length > 0 || !this.queue.isEmpty)) {
      const envelopes = this.control;
      this.control = [];
      this.controlBytes = 0;
      this.takeData(envelopes);
      if (envelopes.length === 0) continue;
      this.owner.onSent();
      this.write(this.connection.variant.frame(envelopes));
    }
    if (this.queue.isEmpty) this.announceDroppedTails();
    if (this.roomWaiters.length > 0 && this.hasRoom && !this.closed) {
      const waiters = this.roomWaiters;
      this.roomWaiters = [];
      for (const waiter of waiters) waiter();
    }
  }

  private writeStaged(): void {
    const [only] = this.staged;
    const frame = this.staged.length === 1 ? (only as Buffer) : Buffer.concat(this.staged);
    this.staged.length = 0;
    this.stagedBytes = 0;
    this.owner.onSent();
    this.write(frame);
  }

  private takeData(into: Buffer[]): void {
    let bytes = 0;
    const now = this.clock.now();
    while (bytes < MAX_FRAME_BYTES) {
      const entry = this.queue.shift();
      if (entry === undefined) return;
      const encoded = this.encodeEntry(entry, now);
      into.push(encoded);
      bytes += encoded.length;
    }
  }

  private encodeEntry(entry: QueueEntry, now: number): Buffer {
    if (entry.gap !== undefined)
      return this.encode(gapEnvelope(entry.subscription as Subscription, entry.gap));
    const { event } = entry;
    if (event === undefined || !event.isExpired(now)) return entry.bytes as Buffer;
    const gap = {
      from: event.seq,
      to: event.seq,
      reason: 'expired',
      partial: false,
      recoverable: false,
      epoch: event.epoch,
    } as const;
    return this.encode(gapEnvelope(entry.subscription as Subscription, gap));
  }

  private append(entry: QueueEntry): void {
    this.queue.push(entry);
    this.schedule();
  }

  private write(frame: Buffer): void {
    // A frame above the socket's high-water mark answers `false` even when the kernel took all of it.
    if (!this.connection.write(frame) && this.connection.bufferedBytes > 0) this.blocked = true;
  }

  private isOver(bytes: number, messages: number): boolean {
    return (
      this.queue.length + messages > this.limits.maxMessages ||
      this.bufferedBytes + bytes > this.limits.maxBytes
    );
  }

  private get isControlFull(): boolean {
    return this.control.length >= this.limits.maxMessages || this.controlBytes >= this.limits.maxBytes;
  }

  private announceDroppedTails(): void {
    if (this.droppedTails === undefined) return;
    const tails = this.droppedTails;
    this.droppedTails = undefined;
    for (const subscription of tails) this.announceDroppedTail(subscription);
  }

  private announceDroppedTail(subscription: Subscription): void {
    const { dropped } = subscription;
    if (dropped === undefined) return;
    subscription.dropped = undefined;
    this.droppedTails?.delete(subscription);
    const recoverable = subscription.channel.definition.policy.log.retain;
    this.pushGap(subscription, dropped.from, dropped.to, 'overflow', recoverable);
  }

  private schedule(): void {
    if (this.scheduled || this.closed) return;
    this.scheduled = true;
    this.scheduler.session(this);
  }

  private encode(envelope: Envelope): Buffer {
    return encodeEnvelope(envelope, this.connection.variant.codec);
  }
}

function gapEnvelope(subscription: Subscription, gap: GapEntry): Envelope {
  const { epoch, partial, ...range } = gap;
  return {
    type: 'gap',
    channel: subscription.channel.name,
    epoch,
    payload: partial ? { ...range, partial } : range,
  };
}
