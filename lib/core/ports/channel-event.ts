import { BytesByVariant } from './bytes-by-variant.js';
import { sizeOfValue } from './value-size.js';

/** Bytes that an event counts as beside its payload, `meta` and texts. */
const EVENT_BYTES = 128;

/** An event as it is handed to the log. */
export interface EventDraft {
  /** Made by the publisher; a second append with the same id is a retry. */
  readonly id: string;
  /** Name of the event. */
  readonly event: string;
  /**
   * Data of the publisher: a wire value, which nobody changes (`toWireValue`). A broker that keeps it as JSON writes it with
   * `JSON.stringify` and reads it with `readWireValue`, so that bytes stay bytes (P29).
   */
  readonly payload?: unknown;
  /** Id of the user who published it; absent for anonymous clients. */
  readonly user?: string;
  /** Conflation key. */
  readonly key?: string;
  /** Milliseconds after which delivery is pointless; counted on the broker's clock. */
  readonly ttl?: number;
  /** Trace context of the publisher, passed through. */
  readonly trace?: string;
  /** Further fields of the publisher, passed through: a wire value. */
  readonly meta?: Readonly<Record<string, unknown>>;
}

/** Fields of a logged event. */
export interface ChannelEventFields extends EventDraft {
  /** Name of the channel. */
  readonly channel: string;
  /** Place in the log; grows by one with each event. */
  readonly seq: number;
  /** Incarnation of the log; in a new one, events of the old one may be lost. */
  readonly epoch: string;
  /** The broker's clock at append, in milliseconds. */
  readonly ts: number;
}

/**
 * One event of a channel's log. Every subscriber of a codec is sent the same bytes, so they are kept with the
 * event once made: replay and live share them, and nothing is encoded per connection (hot path 1).
 */
export class ChannelEvent extends BytesByVariant implements ChannelEventFields {
  /** Name of the channel. */
  readonly channel: string;
  /** Place in the log. */
  readonly seq: number;
  /** Incarnation of the log. */
  readonly epoch: string;
  /** The broker's clock at append, in milliseconds. */
  readonly ts: number;
  /** Given by the publisher. */
  readonly id: string;
  /** Name of the event. */
  readonly event: string;
  /** Data of the publisher. */
  readonly payload?: unknown;
  /** Id of the user who published it. */
  readonly user?: string;
  /** Conflation key. */
  readonly key?: string;
  /** Milliseconds after `ts` from which delivery is pointless. */
  readonly ttl?: number;
  /** Trace context of the publisher. */
  readonly trace?: string;
  /** Further fields of the publisher. */
  readonly meta?: Readonly<Record<string, unknown>>;
  private measured = 0;

  constructor(fields: ChannelEventFields) {
    super();
    this.channel = fields.channel;
    this.seq = fields.seq;
    this.epoch = fields.epoch;
    this.ts = fields.ts;
    this.id = fields.id;
    this.event = fields.event;
    this.payload = fields.payload;
    this.user = fields.user;
    this.key = fields.key;
    this.ttl = fields.ttl;
    this.trace = fields.trace;
    this.meta = fields.meta;
  }

  /**
   * Bytes that the event counts as where a limit is in bytes: payload and `meta` (see `sizeOfValue`), the characters of its id,
   * name, user and key, and 128. Measured once.
   */
  get size(): number {
    if (this.measured === 0) {
      const { id, event, user = '', key = '', payload, meta } = this;
      const texts = id.length + event.length + user.length + key.length;
      this.measured = EVENT_BYTES + texts + sizeOfValue(payload) + sizeOfValue(meta);
    }
    return this.measured;
  }

  /** Whether the event's `ttl` has run out at `now`. */
  isExpired(now: number): boolean {
    return this.ttl !== undefined && now > this.ts + this.ttl;
  }
}
