import type { Codec } from '../../protocol/codecs/codec.js';
import type { Envelope } from '../../protocol/envelope.js';
import { BytesByVariant } from '../ports/bytes-by-variant.js';
import type { ChannelEvent } from '../ports/channel-event.js';
import type { WireVariant } from '../ports/connection.js';

/** Bytes of one envelope, without separator or frame. */
export function encodeEnvelope(envelope: Envelope, codec: Codec): Buffer {
  const encoded = codec.encode(envelope);
  return typeof encoded === 'string'
    ? Buffer.from(encoded)
    : Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
}

/** The bytes of an envelope that several sessions are sent: encoded once per variant, and only for those that somebody has. */
export function encodedOnce(envelope: Envelope): (variant: WireVariant) => Buffer {
  const made = new BytesByVariant();
  return (variant) =>
    made.bytesFor(variant) ?? made.keepBytes(variant, encodeEnvelope(envelope, variant.codec));
}

/** The frame of one event, and with it the bytes that are kept with the event, where nobody was sent it before. */
export function frameEvent(event: ChannelEvent, variant: WireVariant): Buffer {
  const { codec, frameOne } = variant;
  if (frameOne === undefined || event.bytesFor(variant) !== undefined)
    return variant.frame([encodeEvent(event, variant)]);
  const { frame, bytes } = frameOne(codec.encode(toEnvelope(event)));
  event.keepBytes(variant, bytes);
  return frame;
}

/** Bytes of an event, made once per variant and kept with the event (hot path 1). */
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
