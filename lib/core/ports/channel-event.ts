import { BytesByVariant } from './bytes-by-variant.js';
import { ERASED_EVENT, tombstoneOf } from './erasure.js';
import { sizeOfValue } from './value-size.js';
import { structureOf } from './value-weight.js';

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
  /** Milliseconds after the append from which delivery is pointless. */
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
  /** The broker's wall clock at append, in milliseconds. Informational: nothing is computed from it. */
  readonly ts: number;
  /** When its `ttl` runs out, on the monotonic clock of this node: {@link expiryOf} of the broker's knowledge of its age. */
  readonly expiresAt: number;
}

/**
 * When an event is no longer worth delivering, on the monotonic clock of this node. Brokers call it where they make an event
 * of what was appended, was read, or arrived, so that no wall clock of a node takes part: the age is a difference of two
 * readings of one clock. The memory broker's events are of age 0 when they are made. Redis compares the server's time now
 * with that of the append; a message that comes at once is of age 0, as far as a node can know.
 *
 * @param ttl as the publisher gave it, in milliseconds.
 * @param ageMs time since the append, in milliseconds.
 * @param now the monotonic clock of this node.
 */
export function expiryOf(ttl: number | undefined, ageMs: number, now: number): number {
  return ttl === undefined ? Infinity : now + ttl - ageMs;
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
  /** The broker's wall clock at append, in milliseconds. Informational: nothing is computed from it. */
  readonly ts: number;
  /** When its `ttl` runs out, on the monotonic clock of this node. */
  readonly expiresAt: number;
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
  /** Milliseconds after the append from which delivery is pointless. */
  readonly ttl?: number;
  /** Trace context of the publisher. */
  readonly trace?: string;
  /** Further fields of the publisher. */
  readonly meta?: Readonly<Record<string, unknown>>;
  private measured: number;
  private weighed = 0;

  /** @param appendBytes as `AppendRequest.bytes` counted them, where the broker knows: then nothing measures the payload again. */
  constructor(fields: ChannelEventFields, appendBytes = 0) {
    super();
    this.measured = appendBytes === 0 ? 0 : EVENT_BYTES + appendBytes;
    this.channel = fields.channel;
    this.seq = fields.seq;
    this.epoch = fields.epoch;
    this.ts = fields.ts;
    this.expiresAt = fields.expiresAt;
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
   * Bytes that the event counts as where a limit is in bytes: 128 and those of its append or, where the broker does not know
   * them, payload and `meta` (see `sizeOfValue`) and the characters of its id, name, user and key. Measured once.
   */
  get size(): number {
    if (this.measured === 0) {
      const { id, event, user = '', key = '', payload, meta } = this;
      const texts = id.length + event.length + user.length + key.length;
      this.measured = EVENT_BYTES + texts + sizeOfValue(payload) + sizeOfValue(meta);
    }
    return this.measured;
  }

  /** Bytes of memory that it takes, its payload parsed as it is. Measured once. */
  get weight(): number {
    if (this.weighed === 0) this.weighed = this.size + structureOf(this.payload) + structureOf(this.meta);
    return this.weighed;
  }

  /**
   * An event that a broker finds in its log and cannot read, e.g. as another program changed it. It keeps its place:
   * subscribers are sent a gap instead (P25), and `history` leaves it out.
   */
  static unreadable(place: Pick<ChannelEventFields, 'channel' | 'seq' | 'epoch' | 'ts'>): ChannelEvent {
    // No event has an empty name, so the mark takes no room in all others.
    return new ChannelEvent({ ...place, id: '', event: '', expiresAt: Infinity });
  }

  /** What is left of an erased event: a wire event of its own kind, in the same place (P31). */
  static erased(place: Pick<ChannelEventFields, 'channel' | 'seq' | 'epoch' | 'ts'>): ChannelEvent {
    const { channel, seq, epoch, ts } = place;
    return new ChannelEvent({ ...tombstoneOf(seq), channel, seq, epoch, ts, expiresAt: Infinity });
  }

  /** Whether it is an event, and not an {@link unreadable} one. */
  get isReadable(): boolean {
    return this.event !== '';
  }

  /** Whether it is what is left of an erased event. No publisher has a name like this (P31c). */
  get isErased(): boolean {
    return this.event === ERASED_EVENT && this.id === tombstoneOf(this.seq).id;
  }

  /** Whether the event's `ttl` has run out. @param now the monotonic clock of this node. */
  isExpired(now: number): boolean {
    return now > this.expiresAt;
  }
}
