import type { Envelope } from '../../protocol/envelope.js';
import type { GapPayload, HistoryEvent, HistoryResult, SubscribeResult } from '../../protocol/messages.js';
import { omitUndefined } from '../../protocol/omit-undefined.js';
import type { GapReason, LostReason, Position, Recovery, TruncationCause } from '../../protocol/position.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { recordOf, stringOf } from '../received.js';
import type { Cursor } from './cursor.js';
import type { ChannelListeners } from './listeners.js';
import type { PresenceSync } from './presence-sync.js';
import type { ChannelEvent } from './types.js';

const RECOVERIES: readonly unknown[] = ['new', 'complete', 'truncated', 'lost'] satisfies Recovery[];

type Writable<T> = { -readonly [Name in keyof T]: T[Name] };

/** Where the messages of a live subscription go. */
export interface DeliverDeps {
  readonly channel: string;
  readonly cursor: Cursor<ChannelEvent>;
  readonly presence: PresenceSync;
  readonly listeners: ChannelListeners;
}

/**
 * Delivers one message of a live subscription. One without its place in the log is ignored: if it was an event, the next
 * one reveals the gap.
 */
export function deliver(envelope: Envelope, { channel, cursor, presence, listeners }: DeliverDeps): void {
  const { type, event = '', epoch, seq, payload, user } = envelope;
  switch (type) {
    case 'event':
      if (typeof epoch === 'string' && isSeq(seq)) cursor.event(readEvent(envelope, channel, epoch, seq));
      return;
    case 'gap': {
      const gap = readGap(payload);
      if (typeof epoch === 'string' && gap !== undefined) cursor.gap(epoch, gap);
      return;
    }
    case 'resumed':
      if (typeof epoch === 'string' && isSeq(seq)) cursor.resumed({ epoch, seq });
      return;
    case 'presence':
      presence.receive(payload);
      return;
    case 'signal':
      listeners.signal(omitUndefined({ channel, event, payload, user }));
      return;
  }
}

/** The event of an `event` message. A missing field becomes an empty one. */
function readEvent(source: Partial<HistoryEvent>, channel: string, epoch: string, seq: number): ChannelEvent {
  const { id = '', event = '', ts = 0, payload, user, key, meta } = source;
  // Called for every event: assignments are several times faster than a copy without the undefined fields.
  const read: Writable<ChannelEvent> = { id, channel, event, payload, seq, epoch, ts };
  if (user !== undefined) read.user = user;
  if (key !== undefined) read.key = key;
  if (meta !== undefined) read.meta = meta;
  return read;
}

/** Reads the answer to `subscribe` and the body of `reset`; `undefined` when it lacks what P11 promises. */
export function readSubscribeResult(payload: unknown): SubscribeResult | undefined {
  const { position, recovery, reason, from, to, cause, snapshot, presence } = recordOf(payload);
  const place = readPosition(position);
  if (place === undefined || !RECOVERIES.includes(recovery)) return undefined;
  return omitUndefined({
    position: place,
    recovery: recovery as Recovery,
    reason: stringOf(reason) as LostReason | undefined,
    from: isSeq(from) ? from : undefined,
    to: isSeq(to) ? to : undefined,
    cause: stringOf(cause) as TruncationCause | undefined,
    // `null` is a state too: only a missing field means that there is no snapshot.
    snapshot,
    presence: (presence ?? undefined) as SubscribeResult['presence'],
  });
}

/** Reads a page of `history`; `undefined` for anything else. Events without a place in the log are left out. */
export function readHistory(payload: unknown): HistoryResult | undefined {
  const { events, position, more } = recordOf(payload);
  const place = readPosition(position);
  if (!Array.isArray(events) || place === undefined) return undefined;
  const placed = events.filter((item: unknown): item is HistoryEvent => isSeq(recordOf(item)['seq']));
  return { events: placed, position: place, more: more === true };
}

function readGap(payload: unknown): GapPayload | undefined {
  const { from, to, reason, partial, recoverable } = recordOf(payload);
  if (!isSeq(from) || !isSeq(to) || to < from) return undefined;
  return {
    from,
    to,
    reason: (stringOf(reason) ?? 'overflow') as GapReason,
    partial: partial === true,
    recoverable: recoverable === true,
  };
}

/**
 * A position that the application gave; `null` is none.
 *
 * @throws RealtimeError `bad_request` for anything else that is no position.
 */
export function requirePosition(value: unknown): Position | undefined {
  const position = readPosition(value);
  if (position !== undefined || value === undefined || value === null) return position;
  throw new RealtimeError('bad_request', 'position must be { epoch, seq }, or null');
}

function readPosition(value: unknown): Position | undefined {
  const { epoch, seq } = recordOf(value);
  return typeof epoch === 'string' && isSeq(seq) ? { epoch, seq } : undefined;
}

function isSeq(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
