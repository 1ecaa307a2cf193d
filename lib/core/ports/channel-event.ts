import { BytesByVariant } from './bytes-by-variant.js';

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

  /** Whether the event's `ttl` has run out at `now`. */
  isExpired(now: number): boolean {
    return this.ttl !== undefined && now > this.ts + this.ttl;
  }
}
