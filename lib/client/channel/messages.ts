import type { Envelope } from '../../protocol/envelope.js';
import type { GapPayload, HistoryEvent, SubscribeResult } from '../../protocol/messages.js';
import type { GapReason, LostReason, Position, Recovery, TruncationCause } from '../../protocol/position.js';
import { recordOf } from '../connection/welcome.js';
import type { ChannelEvent, ChannelSignal } from './types.js';

const RECOVERIES: readonly string[] = ['new', 'complete', 'truncated', 'lost'] satisfies Recovery[];

/** Reads the answer to `subscribe` and the body of `reset`; `undefined` when it lacks what P11 promises. */
export function readSubscribeResult(payload: unknown): SubscribeResult | undefined {
  const source = recordOf(payload);
  const { position, recovery, reason, from, to, cause, presence } = source;
  const { epoch, seq } = recordOf(position);
  if (typeof epoch !== 'string' || !isSeq(seq) || !isRecovery(recovery)) return undefined;
  return {
    position: { epoch, seq },
    recovery,
    ...(typeof reason === 'string' ? { reason: reason as LostReason } : {}),
    ...(isSeq(from) ? { from } : {}),
    ...(isSeq(to) ? { to } : {}),
    ...(typeof cause === 'string' ? { cause: cause as TruncationCause } : {}),
    // `null` is a state too: only a missing field means that there is no snapshot.
    ...('snapshot' in source && source['snapshot'] !== undefined ? { snapshot: source['snapshot'] } : {}),
    ...(presence === undefined || presence === null
      ? {}
      : { presence: presence as SubscribeResult['presence'] }),
  };
}

/** Reads an `event` message; `undefined` for one without its place in the log. */
export function readEvent(envelope: Envelope, channel: string): ChannelEvent | undefined {
  const { id = '', event = '', ts = 0, seq, epoch, payload, user, key, meta } = envelope;
  if (!isSeq(seq) || typeof epoch !== 'string') return undefined;
  return {
    id,
    channel,
    event,
    payload,
    seq,
    epoch,
    ts,
    ...optional(user, key, meta),
  };
}

/** Gives an event of `history` the shape in which live ones are delivered. */
export function eventOfHistory(item: HistoryEvent, channel: string, epoch: string): ChannelEvent {
  const { id, event, ts, seq, payload, user, key, meta } = item;
  return { id, channel, event, payload, seq, epoch, ts, ...optional(user, key, meta) };
}

export function readSignal(envelope: Envelope, channel: string): ChannelSignal {
  const { event = '', payload, user } = envelope;
  return { channel, event, payload, ...(user === undefined ? {} : { user }) };
}

/** Reads a `gap` message; `undefined` for one without a range. */
export function readGap(envelope: Envelope): { epoch: string; gap: GapPayload } | undefined {
  const { from, to, reason, partial, recoverable } = recordOf(envelope.payload);
  const { epoch } = envelope;
  if (typeof epoch !== 'string' || !isSeq(from) || !isSeq(to) || to < from) return undefined;
  const gap: GapPayload = {
    from,
    to,
    reason: typeof reason === 'string' ? (reason as GapReason) : 'overflow',
    partial: partial === true,
    recoverable: recoverable === true,
  };
  return { epoch, gap };
}

/** Reads `resumed`. */
export function readPosition(envelope: Envelope): Position | undefined {
  const { epoch, seq } = envelope;
  return typeof epoch === 'string' && isSeq(seq) ? { epoch, seq } : undefined;
}

/** Reads a page of `history`; `undefined` for what is none. */
export function readHistory(
  payload: unknown,
): { events: readonly HistoryEvent[]; position: Position; more: boolean } | undefined {
  const { events, position, more } = recordOf(payload);
  const { epoch, seq } = recordOf(position);
  if (!Array.isArray(events) || typeof epoch !== 'string' || !isSeq(seq)) return undefined;
  const placed = events.filter((item: unknown): item is HistoryEvent => isSeq(recordOf(item)['seq']));
  return { events: placed, position: { epoch, seq }, more: more === true };
}

function isRecovery(value: unknown): value is Recovery {
  return typeof value === 'string' && RECOVERIES.includes(value);
}

function isSeq(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function optional(
  user: string | undefined,
  key: string | undefined,
  meta: ChannelEvent['meta'],
): Pick<ChannelEvent, 'user' | 'key' | 'meta'> {
  return {
    ...(user === undefined ? {} : { user }),
    ...(key === undefined ? {} : { key }),
    ...(meta === undefined ? {} : { meta }),
  };
}
