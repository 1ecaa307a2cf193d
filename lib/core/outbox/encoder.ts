import type { Codec } from '../../protocol/codecs/codec.js';
import type { Envelope } from '../../protocol/envelope.js';
import { BytesByVariant } from '../ports/bytes-by-variant.js';
import type { ChannelEvent } from '../ports/channel-event.js';
import type { WireVariant } from '../ports/connection.js';

/** The bytes of one envelope, without separator or frame. */
export function encodeEnvelope(envelope: Envelope, codec: Codec): Buffer {
  const encoded = codec.encode(envelope);
  return typeof encoded === 'string'
    ? Buffer.from(encoded)
    : Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
}

/** Encodes an envelope for several sessions: once per variant, when the first session of that variant needs it. */
export function encodedOnce(envelope: Envelope): (variant: WireVariant) => Buffer {
  const made = new BytesByVariant();
  return (variant) =>
    made.bytesFor(variant) ?? made.keepBytes(variant, encodeEnvelope(envelope, variant.codec));
}

/** The frame of one event. Where it was not encoded before, the event keeps the bytes that lie in the frame. */
export function frameEvent(event: ChannelEvent, variant: WireVariant): Buffer {
  const { codec, frameOne } = variant;
  if (frameOne === undefined || event.bytesFor(variant) !== undefined)
    return variant.frame([encodeEvent(event, variant)]);
  const { frame, bytes } = frameOne(codec.encode(toEnvelope(event)));
  event.keepBytes(variant, bytes);
  return frame;
}

/** The bytes of an event, encoded once per variant and kept with the event (hot path 1). */
export function encodeEvent(event: ChannelEvent, variant: WireVariant): Buffer {
  return (
    event.bytesFor(variant) ?? event.keepBytes(variant, encodeEnvelope(toEnvelope(event), variant.codec))
  );
}

function toEnvelope(event: ChannelEvent): Envelope {
  // Fields that are `undefined` do not reach the wire: both codecs leave them out.
  return {
    type: 'event',
    channel: event.channel,
    event: event.event,
    seq: event.seq,
    epoch: event.epoch,
    id: event.id,
    ts: event.ts,
    user: event.user,
    key: event.key,
    ttl: event.ttl,
    trace: event.trace,
    meta: event.meta,
    payload: event.payload,
  };
}

/**
 * The events that a channel received in one turn. They are framed once per variant, and every session whose cursor is right
 * before them is given the same buffer (hot path 2).
 */
export class EventBatch extends BytesByVariant {
  readonly first: number;
  readonly last: number;

  /** @param events contiguous, in the order of the log, at least one. */
  constructor(readonly events: readonly ChannelEvent[]) {
    super();
    this.first = (events[0] as ChannelEvent).seq;
    this.last = (events[events.length - 1] as ChannelEvent).seq;
  }

  frameFor(variant: WireVariant): Buffer {
    return this.bytesFor(variant) ?? this.keepBytes(variant, this.encode(variant));
  }

  /** Apart from the look-up, where a closure would be allocated for every delivery. */
  private encode(variant: WireVariant): Buffer {
    const { events } = this;
    return events.length === 1
      ? frameEvent(events[0] as ChannelEvent, variant)
      : variant.frame(events.map((event) => encodeEvent(event, variant)));
  }
}
