import type { GapReason } from '../../protocol/position.js';
import type { ChannelDefinition } from '../ports/channel-definition.js';
import type { ChannelEvent } from '../ports/channel-event.js';

/** The subscription that a queued message belongs to, as far as the outbox knows it. */
export interface Flow {
  /** Name of the channel. */
  readonly name: string;
  /** Epoch of the log that its events come from now. */
  readonly epoch: string;
  readonly definition: ChannelDefinition;
  /** Whether its delivery is frozen: nothing of it may be written for now (G11). */
  readonly isFrozen: boolean;
}

/** A range to be announced as missing; it may grow while it waits in the queue. */
export interface GapEntry {
  from: number;
  to: number;
  readonly reason: GapReason;
  readonly partial: boolean;
  readonly recoverable: boolean;
  readonly epoch: string;
  /** Events that it stands for; of a partial one, fewer than its range holds. */
  dropped: number;
}

/** A range of which nothing is sent. */
export function plainGap(
  from: number,
  to: number,
  reason: GapReason,
  recoverable: boolean,
  epoch: string,
): GapEntry {
  return { from, to, reason, partial: false, recoverable, epoch, dropped: to - from + 1 };
}

/** A range of which some events are sent. @param dropped how many are not. */
export function partialGap(
  from: number,
  to: number,
  recoverable: boolean,
  epoch: string,
  dropped: number,
): GapEntry {
  return { from, to, reason: 'conflated', partial: true, recoverable, epoch, dropped };
}

/**
 * What an answer has that can be erased: a `copy` of events, or of the state, that can be asked for again; or the state that a
 * subscription begins with (`start`).
 */
export type Holding = 'copy' | 'start';

/** What a queued message holds. That of an event refers to it, so that an overflow policy can find and drop it. */
export interface QueuedMessage {
  readonly bytes?: Buffer | undefined;
  readonly flow?: Flow | undefined;
  readonly event?: ChannelEvent | undefined;
  readonly gap?: GapEntry | undefined;
  /** The command that this answers: an answer is never dropped without another in its place (P7). */
  readonly ref?: string | undefined;
  /** What it has that can be erased, other than an event in its place. */
  readonly holds?: Holding | undefined;
  /** Whether it is dropped before any event is, and without an announcement. */
  readonly droppable?: boolean;
  /** Called when such a message is dropped after it was queued. */
  readonly onDropped?: ((flow: Flow) => void) | undefined;
}

/** Bytes that a gap counts as; it is encoded when it is written. */
const GAP_BYTES = 160;

/** A message in a queue, and in the lists of it that find messages by their flow and kind. */
export class QueueEntry {
  bytes: Buffer | undefined;
  readonly flow: Flow | undefined;
  event: ChannelEvent | undefined;
  gap: GapEntry | undefined;
  readonly ref: string | undefined;
  readonly holds: Holding | undefined;
  readonly droppable: boolean;
  readonly onDropped: ((flow: Flow) => void) | undefined;
  /** Whether it has left the queue: lists that still hold it skip it. */
  gone = false;
  /** The gap right before it in its flow, which it may be joined with when it is dropped. */
  gapBefore: QueueEntry | undefined = undefined;
  /** Whether a message that no gap may move across, e.g. `resumed`, is between it and the event before. */
  afterMarker = false;

  constructor({ bytes, flow, event, gap, ref, holds, droppable = false, onDropped }: QueuedMessage) {
    this.bytes = bytes;
    this.flow = flow;
    this.event = event;
    this.gap = gap;
    this.ref = ref;
    this.holds = holds;
    this.droppable = droppable;
    this.onDropped = onDropped;
  }

  get size(): number {
    return this.bytes?.length ?? GAP_BYTES;
  }

  /** Its bytes where other outboxes may hold the same: those of events, signals and changes of members. */
  get shared(): Buffer | undefined {
    return this.event !== undefined || this.droppable ? this.bytes : undefined;
  }

  /** Another event of the same flow and place, or the announcement that it cannot be written, takes the place of the event. */
  becomeEvent({ bytes, event, gap }: QueueEntry): void {
    this.bytes = bytes;
    this.event = event;
    this.gap = gap;
  }

  /** The announcement takes the place of the event. */
  becomeGap(gap: GapEntry): void {
    this.gap = gap;
    this.bytes = undefined;
    this.event = undefined;
    this.gapBefore = undefined;
  }

  /** Releases what it holds, as a list may hold the entry for longer. */
  release(): void {
    this.bytes = undefined;
    this.event = undefined;
    this.gapBefore = undefined;
  }
}

/** Whether an entry has not left its queue. One function for all lists: each of a node's connections has some. */
export const isQueued = (entry: QueueEntry): boolean => !entry.gone;
