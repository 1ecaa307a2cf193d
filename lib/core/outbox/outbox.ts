import type { Envelope } from '../../protocol/envelope.js';
import type { Position } from '../../protocol/position.js';
import { ChannelEvent } from '../ports/channel-event.js';
import { applyOverflow } from './overflow.js';
import { encodeEnvelope, type EventBatch } from './encoder.js';
import { entryOf, takeEntries } from './entry-bytes.js';
import type { Flushable } from './flush-scheduler.js';
import type { TurnClient } from '../async/turns.js';
import type { Connection } from '../ports/connection.js';
import { DroppedTails, tailGap, type DroppedRange } from './dropped-tails.js';
import type { Flow, Holding, QueueEntry, QueuedMessage } from './entry.js';
import { SHARE_BYTES, type BudgetedOutbox } from './outbox-budget.js';
import type { OutboxSession, OutboxShared } from './outbox-shared.js';
import { OutboxQueue } from './queue.js';
import { callWhile } from './call-while.js';
import type { TrafficCounts } from './traffic.js';

export type { OutboxSession, OutboxShared } from './outbox-shared.js';

const NOTHING = Buffer.alloc(0);
/** Share of the limits below which a replay may add more. */
const ROOM = 0.25;

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
export class Outbox implements Flushable, BudgetedOutbox {
  private busy = 0;
  /** Of all connections like this one. */
  readonly traffic: TrafficCounts;
  /** {@link TimerWheel.stamp} of the last frame. */
  sentStamp: number;
  private scheduled = false;
  private ownQueue: OutboxQueue | undefined;
  private control: Buffer[] | undefined;
  private controlBytes = 0;
  /** Shared frames of this turn; they precede everything that is queued after them. */
  private staged: Buffer | Buffer[] | undefined;
  private stagedBytes = 0;
  private roomWaiters: (() => void)[] | undefined;
  private droppedTails: DroppedTails | undefined;
  /** What the budget of the node was told last. */
  private reportedBytes = 0;
  /** What was counted for the client last. */
  private chargedBytes = 0;

  constructor(
    readonly connection: Connection,
    private readonly session: OutboxSession,
    private readonly shared: OutboxShared,
  ) {
    this.sentStamp = shared.wheel.stamp;
    this.traffic = shared.traffic.of(connection);
  }

  private get queue(): OutboxQueue {
    return this.ownQueue ?? this.shared.nothing;
  }

  /** Whose queue it is. */
  get owner(): TurnClient {
    return this.session;
  }

  /** Whether a frame may go straight to the socket without overtaking anything. */
  get isIdle(): boolean {
    return this.busy === 0;
  }

  /** Whether the socket holds back what it was given. */
  get isBlocked(): boolean {
    return (this.busy & BLOCKED) !== 0;
  }

  /** Whether more waits than everybody's share: an outbox in which less waits is flushed first. */
  get isLarge(): boolean {
    return this.reportedBytes > SHARE_BYTES;
  }

  /** Bytes that are queued in this process. */
  get bufferedBytes(): number {
    return this.queue.bytes + this.stagedBytes + this.connection.bufferedBytes;
  }

  /** Everything that waits for the client. */
  private get waitingBytes(): number {
    return this.bufferedBytes + this.queue.heldBytes + this.controlBytes;
  }

  /** Whether the socket takes bytes and the queue is short enough for more of a replay. */
  get hasRoom(): boolean {
    const { limits } = this.shared;
    return (
      !this.isBlocked &&
      this.queue.bytes < limits.maxBytes * ROOM &&
      this.queue.length < limits.maxMessages * ROOM &&
      !this.isAccountFull(0) &&
      !this.isShareScarce
    );
  }

  /** Whether so much waits that a read is not worth the work: its answer might find no room. */
  get isBehind(): boolean {
    return this.isBlocked && (this.waitingBytes > this.shared.limits.maxBytes * ROOM || this.isShareScarce);
  }

  /** Calls back once when there is room again. */
  whenRoom(callback: () => void): void {
    (this.roomWaiters ??= []).push(callback);
    this.schedule();
  }

  /** Queues a message of the connection lane. @returns its bytes; 0 where it was not queued. */
  pushControl(envelope: Envelope): number {
    if (this.isClosed) return 0;
    // Answers to commands come here: a client that sends commands and does not read must not fill the memory.
    if (this.isControlFull) {
      this.flush();
      if (this.isControlFull) {
        this.session.close('slow_consumer');
        return 0;
      }
    }
    const bytes = this.encode(envelope);
    if (bytes.length === 0) return 0;
    (this.control ??= []).push(bytes);
    this.countControl(bytes.length);
    this.busy |= CONTROL;
    this.schedule();
    return bytes.length;
  }

  /** Bytes of an envelope, to be measured before they are queued; none for one that the transport keeps to itself. */
  encode(envelope: Envelope): Buffer {
    const { connection } = this;
    const sent = connection.translate === undefined ? envelope : connection.translate(envelope);
    return sent === undefined ? NOTHING : encodeEnvelope(sent, connection.variant.codec);
  }

  /**
   * Queues an answer or a message of the channel lane that may not be dropped. Above the limit the client is too slow; an
   * outbox in which nothing waits takes one message of any size.
   *
   * @returns its bytes.
   */
  pushData(envelope: Envelope, flow?: Flow): number {
    if (this.isClosed) return 0;
    const bytes = this.encode(envelope);
    if (!this.pushAnswer(bytes, envelope.ref, flow)) this.session.close('slow_consumer');
    return bytes.length;
  }

  /**
   * The same for bytes that were encoded already.
   *
   * @param holds what they have that can be erased.
   * @returns `false` where there is no room for them; nothing was queued then.
   */
  pushAnswer(bytes: Buffer, ref: string | undefined, flow: Flow | undefined, holds?: Holding): boolean {
    if (this.isClosed || bytes.length === 0) return true;
    // Only what this client does not read counts: an idle connection takes it, whatever waits for others of the account.
    if (this.isFull(bytes.length)) {
      this.flush();
      while (this.isOver(bytes.length, 1) && this.queue.dropDroppable());
      if (this.isFull(bytes.length)) return false;
    }
    // Before the message, which may be a `reset`: the gap belongs to the epoch before it.
    if (flow !== undefined) this.announceDroppedTail(flow);
    this.append({ bytes, flow, ref, holds });
    return true;
  }

  /** Queues the `reset` of a subscription. Where the channel drops events, those of the log before make room for it. */
  pushReset(bytes: Buffer, flow: Flow, hasState: boolean): void {
    const drops = flow.definition.policy.overflow !== 'disconnect';
    while (!this.pushAnswer(bytes, undefined, flow, hasState ? 'start' : undefined))
      if (!drops || !this.queue.dropOldest(flow)) return this.session.close('slow_consumer');
  }

  /**
   * Queues shared bytes that may be dropped, before any event is: a signal, in whose place older ones go first, or a change of
   * members.
   *
   * @param onDropped Called when it is dropped after it was queued; left out for a signal.
   * @returns whether they were queued.
   */
  pushDroppable(bytes: Buffer, flow: Flow, onDropped?: (flow: Flow) => void): boolean {
    const { length } = bytes;
    if (this.isClosed) return false;
    if (this.isOver(length, 1)) {
      if (length > this.shared.limits.maxBytes) return false;
      while (this.isOver(length, 1) && this.queue.dropDroppable(true));
      if (this.isOver(length, 1)) return false;
    }
    this.append({ bytes, flow, droppable: true, onDropped });
    return true;
  }

  /** Queues one event of a subscription under the overflow policy of its channel (G13). */
  pushEvent(flow: Flow, event: ChannelEvent): void {
    if (this.isClosed) return;
    const entry = this.entryOf(flow, event);
    const bytes = entry.size;
    // A burst may exceed the limit although the socket would take all of it: only what the client does not read counts.
    if (this.isFull(bytes)) {
      this.flush();
      const verdict = this.isFull(bytes)
        ? applyOverflow(flow, event, this.queue, () => this.isFull(bytes))
        : 'queue';
      if (verdict === 'disconnect') return this.session.close('slow_consumer');
      if (verdict === 'dropped') return this.noteDropped(flow, event.seq);
    }
    this.announceDroppedTail(flow);
    this.append(entry);
  }

  /** Queues one event of a replay. It was read while there was room, so it never overflows (P12). */
  pushReplay(flow: Flow, event: ChannelEvent): void {
    if (!this.isClosed) this.append(this.entryOf(flow, event));
  }

  /** Queues a message between the events of a replay, by the same rule. */
  pushReplayMarker(flow: Flow, envelope: Envelope): void {
    if (!this.isClosed) this.append({ bytes: this.encode(envelope), flow });
  }

  /** Queues the announcement of a range that is missing, or of a partial one, behind what was dropped before it (P25). */
  pushGap(flow: Flow, gap: NonNullable<QueuedMessage['gap']>): void {
    if (this.isClosed) return;
    this.announceDroppedTail(flow);
    this.append({ flow, gap });
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
    const { length } = batch.events;
    if (this.stagedBytes + frame.length <= limits.maxBytes) return length <= limits.maxMessages;
    // One event of a size that was admitted passes, however small the queue is.
    return length === 1 && this.stagedBytes === 0;
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
    this.report();
    return refs;
  }

  /**
   * Removes answers about channels that belong to no subscription (G11).
   *
   * @returns the commands whose answers they were; the caller answers them with an error.
   */
  withdrawAnswers(concerns: (channel: string) => boolean): readonly string[] {
    return this.queue.answerFlows(concerns).flatMap((flow) => this.purge(flow));
  }

  /** Puts what is left of erased events in their places, where they wait for the client. */
  erase(flow: Flow, covers: (event: ChannelEvent) => boolean): void {
    if (this.isClosed) return;
    // Frames of this turn leave now: until it ends, the erasure is not confirmed.
    if (this.staged !== undefined) this.writeStaged(this.staged);
    this.queue.replaceEvents(flow, (event) =>
      covers(event) ? this.entryOf(flow, ChannelEvent.erased(event)) : undefined,
    );
    this.report();
  }

  /** Whether the state of a channel waits that a subscription begins with: it may have events that were erased. */
  holdsStart(channel: string): boolean {
    return this.queue.holdsStart(channel);
  }

  /**
   * Removes answers with events of a channel's log, or with its state, some of which were erased.
   *
   * @returns the commands whose answers they were; the caller answers them with an error.
   */
  withdrawCopies(channel: string): readonly string[] {
    const refs = this.queue.withdrawCopies(channel);
    this.noteQueue();
    this.report();
    return refs;
  }

  /** Sets aside what is queued of frozen subscriptions, until {@link release} (G11). */
  hold(): void {
    // The announcement of a dropped tail has its place behind the events that are set aside.
    for (const flow of this.droppedTails?.flows ?? []) if (flow.isFrozen) this.announceDroppedTail(flow);
    this.queue.hold(({ flow }) => flow?.isFrozen === true);
    this.noteQueue();
  }

  /** Puts back what {@link hold} set aside, of subscriptions that are no longer frozen. */
  release(): void {
    if (this.queue.heldLength === 0) return;
    this.queue.release();
    this.queue.hold(({ flow }) => flow?.isFrozen === true);
    this.busy |= QUEUED;
    this.schedule();
  }

  /** Where the client stands in the flows of which something waits, as {@link OutboxQueue.positions} has it. */
  positions(): ReadonlyMap<Flow, Position | undefined> {
    // The cursors count them as sent.
    if (this.staged !== undefined) this.writeStaged(this.staged);
    const positions = this.queue.positions();
    for (const flow of this.droppedTails?.flows ?? []) {
      const from = this.droppedTails?.get(flow)?.from ?? 0;
      if (!positions.has(flow)) positions.set(flow, { epoch: flow.epoch, seq: from - 1 });
    }
    return positions;
  }

  /** The socket takes bytes again. */
  onDrain(): void {
    this.busy &= ~BLOCKED;
    this.shared.blocked.free(this);
    this.flush();
  }

  /** Ends the session with 4005: the client reconnects with its positions. */
  fail(): void {
    this.session.close('internal');
  }

  /** Drops everything; later calls do nothing. */
  close(): void {
    this.busy |= CLOSED;
    this.ownQueue?.clear();
    this.ownQueue = undefined;
    this.control = undefined;
    this.countControl(-this.controlBytes);
    this.staged = undefined;
    this.stagedBytes = 0;
    this.roomWaiters = undefined;
    this.droppedTails = undefined;
    this.report();
    if (this.shared.blocked.has(this)) this.shared.budget.closes(this);
  }

  /** The socket is gone, and what it held. */
  gone(): void {
    this.shared.blocked.free(this);
    this.shared.budget.gone(this);
  }

  /** Ends the session for the others of the node, or a socket that a closed session left behind. */
  shed(): void {
    if (!this.isClosed) return this.session.close('slow_consumer');
    this.connection.terminate();
    this.gone();
  }

  /** Writes what is queued, in frames of bounded size, until the socket is full. */
  flush(): void {
    this.scheduled = false;
    if (this.staged !== undefined) this.writeStaged(this.staged);
    while ((this.busy & (BLOCKED | CLOSED)) === 0 && (this.control !== undefined || !this.queue.isEmpty)) {
      const envelopes = this.control ?? [];
      this.control = undefined;
      this.countControl(-this.controlBytes);
      this.busy &= ~CONTROL;
      takeEntries(this.queue, envelopes, this.connection.variant.codec, this.shared);
      this.noteQueue();
      if (envelopes.length === 0) continue;
      this.write(this.connection.frame?.(envelopes) ?? this.connection.variant.frame(envelopes));
    }
    if (this.queue.isEmpty) for (const flow of this.droppedTails?.flows ?? []) this.announceDroppedTail(flow);
    this.report();
    if (this.roomWaiters !== undefined && this.hasRoom && !this.isClosed) {
      const waiters = this.roomWaiters;
      this.roomWaiters = undefined;
      const left = callWhile(waiters, () => this.hasRoom && !this.isClosed);
      if (left.length > 0 && !this.isClosed) this.roomWaiters = [...left, ...(this.roomWaiters ?? [])];
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

  private entryOf(flow: Flow, event: ChannelEvent): QueueEntry {
    return entryOf(flow, event, this.connection.variant, this.shared.onUnwritable);
  }

  private append(entry: QueuedMessage): void {
    (this.ownQueue ??= new OutboxQueue(this.shared.budget)).push(entry);
    this.busy |= QUEUED;
    this.report();
    this.schedule();
  }

  private write(frame: Buffer): void {
    this.sentStamp = this.shared.wheel.stamp;
    this.traffic.framesOut++;
    this.traffic.bytesOut += frame.length;
    // A frame above the socket's high-water mark answers `false` even when the kernel took all of it.
    if (this.connection.write(frame) || this.connection.bufferedBytes === 0) return;
    this.busy |= BLOCKED;
    // Found by the object: one of its own is counted by itself, however many were given the same bytes.
    const held = this.connection.copiesFrames === true ? frame.subarray() : frame;
    this.shared.blocked.block(this, held, this.shared.clock.monotonic());
    this.report();
  }

  private countControl(bytes: number): void {
    // -0 would make V8 keep a field as an object of its own.
    if (bytes === 0) return;
    this.controlBytes += bytes;
    this.shared.budget.change(bytes);
  }

  /**
   * Tells the node what waits, and counts it for the client. Not called while the socket takes everything at once. What is within
   * the share, and leaves at the end of this turn, is not counted: nearly every answer does.
   */
  private report(): void {
    const bytes = this.isClosed ? 0 : this.waitingBytes;
    this.shared.budget.moved(this, this.reportedBytes, bytes);
    this.reportedBytes = bytes;
    const { client, isLive } = this.session;
    const charged = (bytes > SHARE_BYTES || this.isBlocked) && isLive ? bytes : 0;
    if (charged === this.chargedBytes) return;
    this.shared.queued.change(client, charged - this.chargedBytes);
    this.chargedBytes = charged;
  }

  private noteQueue(): void {
    if (!this.queue.isEmpty) return;
    this.busy &= ~QUEUED;
    if (this.queue.heldLength === 0) this.ownQueue = undefined;
  }

  private get isClosed(): boolean {
    return (this.busy & CLOSED) !== 0;
  }

  /** Whether that much more is too much. An outbox in which nothing waits takes one message, however large. */
  private isOver(bytes: number, messages: number): boolean {
    const { limits } = this.shared;
    const { length, heldLength, heldBytes } = this.queue;
    const waiting = this.bufferedBytes + heldBytes;
    if (waiting === 0 && length + heldLength === 0) return false;
    return length + heldLength + messages > limits.maxMessages || waiting + bytes > limits.maxBytes;
  }

  /** Whether there is no room for an event, or an answer. One in which nothing waits, as nearly always, takes it in any case. */
  private isFull(bytes: number): boolean {
    return this.waitingBytes > 0 && (this.isOver(bytes, 1) || this.isAccountFull(bytes));
  }

  /**
   * Whether all connections of the client together hold too much for that much more. One that holds little is never refused: a
   * client that reads does not pay for others of its user or address that do not.
   */
  private isAccountFull(bytes: number): boolean {
    const own = this.waitingBytes + bytes;
    if (own <= SHARE_BYTES || !this.session.isLive) return false;
    const { queued, limits } = this.shared;
    return queued.of(this.session.client) - this.chargedBytes + own > limits.maxBytesPerUser;
  }

  /** Whether it holds its share while the node has little to give. */
  private get isShareScarce(): boolean {
    return this.shared.budget.isScarce && this.waitingBytes > SHARE_BYTES;
  }

  private get isControlFull(): boolean {
    const { control, controlBytes, shared } = this;
    const { maxMessages, maxBytes } = shared.limits;
    return control !== undefined && (control.length >= maxMessages || controlBytes >= maxBytes);
  }

  private noteDropped(flow: Flow, seq: number): void {
    (this.droppedTails ??= new DroppedTails()).note(flow, seq);
    this.busy |= DROPPED_TAILS;
    this.schedule();
  }

  private announceDroppedTail(flow: Flow): void {
    const dropped = this.forgetDroppedTail(flow);
    if (dropped !== undefined) this.append({ flow, gap: tailGap(flow, dropped) });
  }

  private forgetDroppedTail(flow: Flow): DroppedRange | undefined {
    const dropped = this.droppedTails?.take(flow);
    if (this.droppedTails?.isEmpty !== true) return dropped;
    this.droppedTails = undefined;
    this.busy &= ~DROPPED_TAILS;
    return dropped;
  }

  private schedule(): void {
    if (this.scheduled || this.isClosed) return;
    this.scheduled = true;
    this.shared.scheduler.session(this);
  }
}
