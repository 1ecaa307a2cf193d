import type { Envelope } from '../../protocol/envelope.js';
import type { GapReason, Position } from '../../protocol/position.js';
import type { ChannelEvent } from '../ports/channel-event.js';
import { applyOverflow } from './overflow.js';
import type { EnginePorts, OutboxLimits } from '../ports/settings.js';
import { encodeEnvelope, encodeEvent, type EventBatch, type OnUnwritable } from './encoder.js';
import type { FlushScheduler, Flushable } from './flush-scheduler.js';
import type { TimerWheel } from '../async/timer-wheel.js';
import type { ClosableSession, Connection } from '../ports/connection.js';
import { OutboxQueue, plainGap, sizeOf, type Flow, type GapEntry, type QueueEntry } from './queue.js';

/** Most bytes of one frame that the outbox assembles; the rest goes into the next. */
const MAX_FRAME_BYTES = 64 * 1024;
/** Share of the limits below which a replay may add more. */
const ROOM = 0.25;

type DroppedRange = Pick<GapEntry, 'from' | 'to'>;

/** What the outboxes of one engine share. */
export interface OutboxShared extends Pick<EnginePorts, 'clock' | 'observer'> {
  readonly limits: OutboxLimits;
  readonly scheduler: FlushScheduler;
  readonly wheel: TimerWheel;
  readonly onUnwritable: OnUnwritable;
}

// Why a frame may not go straight to the socket. One number, so that the hot path looks at one field of one object: of a
// thousand sessions each further one is a miss of the processor's cache.
const BLOCKED = 1;
const CLOSED = 2;
const QUEUED = 4;
const CONTROL = 8;
/** The announcement of a dropped tail precedes the next message of its channel. */
const DROPPED_TAILS = 16;

/**
 * Everything that is queued for one client, in two lanes (P24): the connection lane overtakes, the channel lane keeps
 * its order. Bounded in bytes and messages (G13); bytes that the socket has not sent count.
 */
export class Outbox implements Flushable {
  private busy = 0;
  /** {@link TimerWheel.stamp} of the last frame. */
  sentStamp: number;
  private scheduled = false;
  readonly queue = new OutboxQueue();
  private control: Buffer[] | undefined;
  private controlBytes = 0;
  /** Shared frames of this turn; they precede everything that is queued after them. */
  private staged: Buffer | Buffer[] | undefined;
  private stagedBytes = 0;
  private roomWaiters: (() => void)[] | undefined;
  /** Ranges that were dropped at the end of the queue, to be announced when it drains (P25). */
  private droppedTails: Map<Flow, DroppedRange> | undefined;

  constructor(
    readonly connection: Connection,
    private readonly session: ClosableSession,
    private readonly shared: OutboxShared,
  ) {
    this.sentStamp = shared.wheel.stamp;
  }

  /** Whether a frame may go straight to the socket without overtaking anything. */
  get isIdle(): boolean {
    return this.busy === 0;
  }

  /** Whether the socket holds back what it was given. */
  get isBlocked(): boolean {
    return (this.busy & BLOCKED) !== 0;
  }

  /** Bytes that are queued in this process. */
  get bufferedBytes(): number {
    return this.queue.bytes + this.stagedBytes + this.connection.bufferedBytes;
  }

  /** Whether the socket takes bytes and the queue is short enough for more of a replay. */
  get hasRoom(): boolean {
    const { limits } = this.shared;
    return (
      !this.isBlocked &&
      this.queue.bytes < limits.maxBytes * ROOM &&
      this.queue.length < limits.maxMessages * ROOM
    );
  }

  /** Calls back once when there is room again. */
  whenRoom(callback: () => void): void {
    (this.roomWaiters ??= []).push(callback);
    this.schedule();
  }

  /** Queues a message of the connection lane. */
  pushControl(envelope: Envelope): void {
    if (this.isClosed) return;
    // Answers to commands come here: a client that sends commands and does not read must not fill the memory.
    if (this.isControlFull) {
      this.flush();
      if (this.isControlFull) return this.session.close('slow_consumer');
    }
    const bytes = this.encode(envelope);
    (this.control ??= []).push(bytes);
    this.controlBytes += bytes.length;
    this.busy |= CONTROL;
    this.schedule();
  }

  /**
   * Queues an answer or a message of the channel lane that may not be dropped: above the limit the client is too slow. The
   * limit is checked before the message is added: a single answer, e.g. a snapshot, may be larger than it.
   *
   * @returns the bytes that were queued.
   */
  pushData(envelope: Envelope, flow?: Flow): number {
    if (this.isClosed) return 0;
    if (this.isOver(0, 0)) {
      this.flush();
      if (this.isOver(0, 0)) {
        this.session.close('slow_consumer');
        return 0;
      }
    }
    // Before the message, which may be a `reset`: the gap belongs to the epoch before it.
    if (flow !== undefined) this.announceDroppedTail(flow);
    const bytes = this.encode(envelope);
    this.append({ bytes, flow, ref: envelope.ref });
    return bytes.length;
  }

  /** Queues shared bytes that may be dropped silently, e.g. a signal. @returns whether they were queued. */
  pushDroppable(bytes: Buffer, flow: Flow): boolean {
    if (this.isClosed || this.isOver(bytes.length, 1)) return false;
    this.append({ bytes, flow });
    return true;
  }

  /** Queues one event of a subscription under the overflow policy of its channel (G13). */
  pushEvent(flow: Flow, event: ChannelEvent): void {
    if (this.isClosed) return;
    const entry = this.entryOf(flow, event);
    const bytes = sizeOf(entry);
    // A burst may exceed the limit although the socket would take all of it: only what the client does not read counts.
    if (this.isOver(bytes, 1)) {
      this.flush();
      const verdict = this.isOver(bytes, 1)
        ? applyOverflow(flow, event, this.queue, () => this.isOver(bytes, 1))
        : 'queue';
      if (verdict === 'disconnect') return this.session.close('slow_consumer');
      if (verdict === 'dropped') return this.noteDropped(flow, event.seq);
    }
    this.announceDroppedTail(flow);
    this.append(entry);
  }

  /** Queues one event of a replay. It was read while there was room, so it never overflows (P12). */
  pushReplay(flow: Flow, event: ChannelEvent): void {
    if (this.isClosed) return;
    this.append(this.entryOf(flow, event));
  }

  /** Queues a message between the events of a replay, by the same rule. */
  pushReplayMarker(flow: Flow, envelope: Envelope): void {
    if (this.isClosed) return;
    this.append({ bytes: this.encode(envelope), flow });
  }

  /** Queues the announcement of a range that is missing (P25). */
  pushGap(flow: Flow, from: number, to: number, reason: GapReason, recoverable: boolean): void {
    if (this.isClosed) return;
    this.append({ flow, gap: plainGap(from, to, reason, recoverable, flow.epoch) });
  }

  /**
   * Writes a frame that many sessions share; only while {@link isIdle}. When several channels flush in this turn, the frame
   * may wait until all have, so that a session of more than one of them is written to once.
   */
  writeShared(frame: Buffer): void {
    const { writes } = this.shared.scheduler;
    if (writes.active || this.staged !== undefined) {
      writes.note(this.staged !== undefined);
      this.stage(frame);
      return;
    }
    this.write(frame);
  }

  /** Whether a batch may bypass the queue's limits: it may be as large as the queue itself. */
  takes(batch: EventBatch, frame: Buffer): boolean {
    const { limits } = this.shared;
    return this.stagedBytes + frame.length <= limits.maxBytes && batch.events.length <= limits.maxMessages;
  }

  /**
   * Removes everything that is queued of a subscription (P24).
   *
   * @returns the commands whose answers were among it; the caller answers them with an error.
   */
  purge(flow: Flow): readonly string[] {
    this.forgetDroppedTail(flow);
    const refs = this.queue.purge(flow);
    this.noteQueue();
    return refs;
  }

  /** Sets aside what is queued of frozen subscriptions, until {@link release} (G11). */
  hold(): void {
    // The announcement of a dropped tail has its place behind the events that are set aside.
    for (const flow of this.droppedTails?.keys() ?? []) if (flow.isFrozen) this.announceDroppedTail(flow);
    this.queue.hold(({ flow }) => flow?.isFrozen === true);
    this.noteQueue();
  }

  /** Puts back what {@link hold} set aside. */
  release(): void {
    if (this.queue.heldLength === 0) return;
    this.queue.release();
    this.busy |= QUEUED;
    this.schedule();
  }

  /** Where the client stands in the flows of which something waits, as {@link OutboxQueue.positions} has it. */
  positions(): ReadonlyMap<Flow, Position | undefined> {
    const positions = this.queue.positions();
    for (const [flow, { from }] of this.droppedTails ?? [])
      if (!positions.has(flow)) positions.set(flow, { epoch: flow.epoch, seq: from - 1 });
    return positions;
  }

  /** The socket takes bytes again. */
  onDrain(): void {
    this.busy &= ~BLOCKED;
    this.flush();
  }

  /** Ends the session with 4005: the client reconnects with its positions. */
  fail(): void {
    this.session.close('internal');
  }

  /** Drops everything; later calls do nothing. */
  close(): void {
    this.busy |= CLOSED;
    this.queue.clear();
    this.control = undefined;
    this.controlBytes = 0;
    this.staged = undefined;
    this.stagedBytes = 0;
    this.roomWaiters = undefined;
    this.droppedTails = undefined;
  }

  /** Writes what is queued, in frames of bounded size, until the socket is full. */
  flush(): void {
    this.scheduled = false;
    if (this.staged !== undefined) this.writeStaged(this.staged);
    while ((this.busy & (BLOCKED | CLOSED)) === 0 && (this.control !== undefined || !this.queue.isEmpty)) {
      const envelopes = this.control ?? [];
      this.control = undefined;
      this.controlBytes = 0;
      this.busy &= ~CONTROL;
      this.takeData(envelopes);
      this.noteQueue();
      if (envelopes.length === 0) continue;
      this.write(this.connection.variant.frame(envelopes));
    }
    if (this.queue.isEmpty) this.announceDroppedTails();
    if (this.roomWaiters !== undefined && this.hasRoom && !this.isClosed) {
      const waiters = this.roomWaiters;
      this.roomWaiters = undefined;
      for (const waiter of waiters) waiter();
    }
  }

  private stage(frame: Buffer): void {
    // Most sessions get one frame per turn, which needs no list.
    if (this.staged === undefined) this.staged = frame;
    else if (Array.isArray(this.staged)) this.staged.push(frame);
    else this.staged = [this.staged, frame];
    this.stagedBytes += frame.length;
    this.schedule();
  }

  private writeStaged(staged: Buffer | Buffer[]): void {
    const frame = Array.isArray(staged) ? Buffer.concat(staged) : staged;
    this.staged = undefined;
    this.stagedBytes = 0;
    this.write(frame);
  }

  private takeData(into: Buffer[]): void {
    let bytes = 0;
    const now = this.shared.clock.monotonic();
    while (bytes < MAX_FRAME_BYTES) {
      const entry = this.queue.shift();
      if (entry === undefined) return;
      const encoded = this.encodeEntry(entry, now);
      into.push(encoded);
      bytes += encoded.length;
    }
  }

  private encodeEntry(entry: QueueEntry, now: number): Buffer {
    if (entry.gap !== undefined) return this.encodeGap(entry.flow as Flow, entry.gap);
    const { event } = entry;
    if (event === undefined || !event.isExpired(now)) return entry.bytes as Buffer;
    return this.encodeGap(entry.flow as Flow, plainGap(event.seq, event.seq, 'expired', false, event.epoch));
  }

  /** An event as it is queued; one that cannot be written is announced as missing in its place. */
  private entryOf(flow: Flow, event: ChannelEvent): QueueEntry {
    const bytes = encodeEvent(event, this.connection.variant, this.shared.onUnwritable);
    if (bytes !== undefined) return { bytes, flow, event };
    return { flow, gap: plainGap(event.seq, event.seq, 'unreadable', false, event.epoch) };
  }

  private encodeGap(flow: Flow, gap: Readonly<GapEntry>): Buffer {
    const { epoch, partial, dropped, ...range } = gap;
    this.shared.observer.onGap?.(flow.definition.pattern, gap.reason, dropped);
    return this.encode({
      type: 'gap',
      channel: flow.name,
      epoch,
      payload: partial ? { ...range, partial } : range,
    });
  }

  private append(entry: QueueEntry): void {
    this.queue.push(entry);
    this.busy |= QUEUED;
    this.schedule();
  }

  private write(frame: Buffer): void {
    this.sentStamp = this.shared.wheel.stamp;
    // A frame above the socket's high-water mark answers `false` even when the kernel took all of it.
    if (!this.connection.write(frame) && this.connection.bufferedBytes > 0) this.busy |= BLOCKED;
  }

  private noteQueue(): void {
    if (this.queue.isEmpty) this.busy &= ~QUEUED;
  }

  private get isClosed(): boolean {
    return (this.busy & CLOSED) !== 0;
  }

  private isOver(bytes: number, messages: number): boolean {
    const { limits } = this.shared;
    const { length, heldLength, heldBytes } = this.queue;
    return (
      length + heldLength + messages > limits.maxMessages ||
      this.bufferedBytes + heldBytes + bytes > limits.maxBytes
    );
  }

  private get isControlFull(): boolean {
    const { limits } = this.shared;
    return (
      this.control !== undefined &&
      (this.control.length >= limits.maxMessages || this.controlBytes >= limits.maxBytes)
    );
  }

  private noteDropped(flow: Flow, seq: number): void {
    const tails = (this.droppedTails ??= new Map<Flow, DroppedRange>());
    const dropped = tails.get(flow);
    if (dropped === undefined) tails.set(flow, { from: seq, to: seq });
    else dropped.to = seq;
    this.busy |= DROPPED_TAILS;
    this.schedule();
  }

  private announceDroppedTails(): void {
    for (const flow of this.droppedTails?.keys() ?? []) this.announceDroppedTail(flow);
  }

  private announceDroppedTail(flow: Flow): void {
    const dropped = this.droppedTails?.get(flow);
    if (dropped === undefined) return;
    this.forgetDroppedTail(flow);
    this.pushGap(flow, dropped.from, dropped.to, 'overflow', flow.definition.policy.log.retain);
  }

  private forgetDroppedTail(flow: Flow): void {
    if (this.droppedTails?.delete(flow) !== true || this.droppedTails.size > 0) return;
    this.droppedTails = undefined;
    this.busy &= ~DROPPED_TAILS;
  }

  private schedule(): void {
    if (this.scheduled || this.isClosed) return;
    this.scheduled = true;
    this.shared.scheduler.session(this);
  }

  private encode(envelope: Envelope): Buffer {
    return encodeEnvelope(envelope, this.connection.variant.codec);
  }
}
