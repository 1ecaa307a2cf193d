import { BytesByVariant } from './bytes-by-variant.js';

/** What the publisher, or the application on its behalf, hands to the log. */
export interface EventDraft {
  readonly id: string;
  readonly event: string;
  readonly payload?: unknown;
  readonly user?: string;
  /** Conflation key. */
  readonly key?: string;
  /** Milliseconds after which delivery is pointless; counted on the broker's clock. */
  readonly ttl?: number;
  readonly trace?: string;
  readonly meta?: Readonly<Record<string, unknown>>;
}

/** Fields of a logged event. */
export interface ChannelEventFields extends EventDraft {
  readonly channel: string;
  readonly seq: number;
  readonly epoch: string;
  /** The broker's clock at append, in milliseconds. */
  readonly ts: number;
}

/**
 * One event of a channel's log. Every subscriber of a codec is sent the same bytes, so they are kept with the
 * event once made: replay and live share them, and nothing is encoded per connection (hot path 1).
 */
export class ChannelEvent extends BytesByVariant implements ChannelEventFields {
  readonly channel: string;
  readonly seq: number;
  readonly epoch: string;
  readonly ts: number;
  readonly id: string;
  readonly event: string;
  readonly payload?: unknown;
  readonly user?: string;
  readonly key?: string;
  readonly ttl?: number;
  readonly trace?: string;
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
