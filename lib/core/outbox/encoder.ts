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

/** Kept with what a codec cannot write, in the place of its bytes. */
const UNWRITABLE = Buffer.alloc(0);

/** Called with what could not be written, once per variant; `codec` is the name of its codec. */
export type OnUnwritable = (
  what: Pick<Envelope, 'type' | 'channel' | 'seq'>,
  codec: string,
  error: unknown,
) => void;

/**
 * Encodes an envelope for several sessions: once per variant, when the first session of that variant needs it.
 *
 * @returns gives `undefined` for a variant whose codec cannot write the envelope.
 */
export function encodedOnce(
  envelope: Envelope,
  onUnwritable: OnUnwritable,
): (variant: WireVariant) => Buffer | undefined {
  const made = new BytesByVariant();
  return (variant) => {
    const bytes =
      made.bytesFor(variant) ?? made.keepBytes(variant, attemptEncoding(envelope, variant, onUnwritable));
    return bytes === UNWRITABLE ? undefined : bytes;
  };
}

/**
 * The frame of one event. Where it was not encoded before, the event keeps the bytes that lie in the frame.
 *
 * @returns `undefined` as {@link encodeEvent}.
 */
export function frameEvent(
  event: ChannelEvent,
  variant: WireVariant,
  onUnwritable: OnUnwritable,
): Buffer | undefined {
  const { codec, frameOne } = variant;
  if (frameOne !== undefined && event.bytesFor(variant) === undefined) {
    const envelope = toEnvelope(event);
    try {
      assertReadable(envelope);
      const { frame, bytes } = frameOne(codec.encode(envelope));
      event.keepBytes(variant, bytes);
      return frame;
    } catch (error) {
      event.keepBytes(variant, UNWRITABLE);
      onUnwritable(envelope, codec.name, error);
      return undefined;
    }
  }
  const bytes = encodeEvent(event, variant, onUnwritable);
  return bytes && variant.frame([bytes]);
}

/**
 * The bytes of an event, encoded once per variant and kept with the event (hot path 1).
 *
 * @returns `undefined` for an event that the broker could not read or the codec cannot write: its subscribers are sent a gap
 * (P25).
 */
export function encodeEvent(
  event: ChannelEvent,
  variant: WireVariant,
  onUnwritable: OnUnwritable,
): Buffer | undefined {
  const bytes =
    event.bytesFor(variant) ??
    event.keepBytes(variant, attemptEncoding(toEnvelope(event), variant, onUnwritable));
  return bytes === UNWRITABLE ? undefined : bytes;
}

function attemptEncoding(envelope: Envelope, { codec }: WireVariant, onUnwritable: OnUnwritable): Buffer {
  try {
    assertReadable(envelope);
    return encodeEnvelope(envelope, codec);
  } catch (error) {
    onUnwritable(envelope, codec.name, error);
    return UNWRITABLE;
  }
}

/** @throws TypeError for what stands for an event that the broker could not read. */
function assertReadable({ event }: Envelope): void {
  if (event === '') throw new TypeError('The broker could not read it');
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

/** A range of which only some events are sent, all of them in one batch (P25). */
export interface ThinnedRange {
  readonly from: number;
  readonly to: number;
  /** Events of it that are not sent. */
  readonly count: number;
  readonly recoverable: boolean;
}

/**
 * The events that a channel received in one turn. They are framed once per variant, and every session whose cursor is right
 * before them is given the same buffer (hot path 2).
 */
export class EventBatch extends BytesByVariant {
  readonly first: number;
  readonly last: number;

  /**
   * @param events in the order of the log, at least one; contiguous, but for what `gap` covers.
   * @param gap what was left out of them, before the last one.
   */
  constructor(
    readonly events: readonly ChannelEvent[],
    private readonly onUnwritable: OnUnwritable,
    readonly gap?: ThinnedRange,
  ) {
    super();
    this.first = Math.min((events[0] as ChannelEvent).seq, gap?.from ?? Infinity);
    this.last = (events[events.length - 1] as ChannelEvent).seq;
  }

  /** @returns `undefined` when one of the events cannot be written: then each subscriber is sent what can. */
  frameFor(variant: WireVariant): Buffer | undefined {
    const frame = this.bytesFor(variant) ?? this.keepBytes(variant, this.encode(variant) ?? UNWRITABLE);
    return frame === UNWRITABLE ? undefined : frame;
  }

  /** Apart from the look-up, where a closure would be allocated for every delivery. */
  private encode(variant: WireVariant): Buffer | undefined {
    const { events, onUnwritable } = this;
    let { gap } = this;
    if (events.length === 1 && gap === undefined)
      return frameEvent(events[0] as ChannelEvent, variant, onUnwritable);
    const encoded: Buffer[] = [];
    for (const event of events) {
      if (gap !== undefined && event.seq > gap.from) {
        encoded.push(encodeEnvelope(announcementOf(event, gap), variant.codec));
        gap = undefined;
      }
      const bytes = encodeEvent(event, variant, onUnwritable);
      if (bytes === undefined) return undefined;
      encoded.push(bytes);
    }
    return variant.frame(encoded);
  }
}

function announcementOf({ channel, epoch }: ChannelEvent, { from, to, recoverable }: ThinnedRange): Envelope {
  return {
    type: 'gap',
    channel,
    epoch,
    payload: { from, to, reason: 'conflated', partial: true, recoverable },
  };
}
