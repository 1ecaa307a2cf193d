import type { ChannelEvent } from '../channel/channel-event.js';
import type { WireVariant } from '../session/connection.js';
import { encodeEvent } from './encoder.js';

/**
 * What a channel received in one turn. It is framed once per variant, and every session that is exactly at its
 * start is handed the same buffer (hot path 2).
 */
export class EventBatch {
  private readonly frames: (Buffer | undefined)[] = [];
  readonly first: number;
  readonly last: number;

  /** @param events contiguous, in the order of the log, at least one. */
  constructor(readonly events: readonly ChannelEvent[]) {
    this.first = (events[0] as ChannelEvent).seq;
    this.last = (events[events.length - 1] as ChannelEvent).seq;
  }

  frameFor(variant: WireVariant): Buffer {
    let frame = this.frames[variant.index];
    if (frame === undefined) {
      frame = this.encode(variant);
      this.frames[variant.index] = frame;
    }
    return frame;
  }

  /** Apart from the look-up: a closure there would be allocated for every delivery, whether it is called or not. */
  private encode(variant: WireVariant): Buffer {
    return variant.frame(this.events.map((event) => encodeEvent(event, variant)));
  }
}
