import { BytesByVariant } from '../ports/bytes-by-variant.js';
import type { ChannelEvent } from '../ports/channel-event.js';
import type { WireVariant } from '../ports/connection.js';
import { encodeEvent, frameEvent } from './encoder.js';

/**
 * What a channel received in one turn. It is framed once per variant, and every session that is exactly at its
 * start is handed the same buffer (hot path 2).
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

  /** Apart from the look-up: a closure there would be allocated for every delivery, whether it is called or not. */
  private encode(variant: WireVariant): Buffer {
    const { events } = this;
    return events.length === 1
      ? frameEvent(events[0] as ChannelEvent, variant)
      : variant.frame(events.map((event) => encodeEvent(event, variant)));
  }
}
