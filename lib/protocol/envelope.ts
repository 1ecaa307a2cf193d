/**
 * One command or message on the wire (P5). Every field but `type` is optional in this shape; which are
 * required is said by the command, and checked by `validateCommand`.
 */
export interface Envelope {
  readonly type: string;
  /** Chosen by the sender, 1–64 characters; on events the publisher's. */
  readonly id?: string;
  /** The sender's clock in milliseconds; informational, no promise rests on it. */
  readonly ts?: number;
  /** The `id` of the command that this one answers. */
  readonly ref?: string;
  readonly channel?: string;
  /** The application's own name for what happened. */
  readonly event?: string;
  readonly seq?: number;
  readonly epoch?: string;
  /** Who published, as the server verified it. */
  readonly user?: string;
  /** Conflation key: newer events of a key replace older ones under `overflow: 'conflate'`. */
  readonly key?: string;
  /** Milliseconds after which the event is not worth delivering. */
  readonly ttl?: number;
  /** The id of the previous unacknowledged publish (P16). */
  readonly after?: string;
  /** W3C `traceparent`. */
  readonly trace?: string;
  readonly meta?: Readonly<Record<string, unknown>>;
  readonly payload?: unknown;
}

/** Longest `id`, in characters (P5). */
export const MAX_ID_LENGTH = 64;
/** Longest `event` name, in characters. */
export const MAX_EVENT_LENGTH = 128;
/** Longest conflation `key`, in characters. */
export const MAX_KEY_LENGTH = 128;
/** Revision of protocol v1 that this build speaks (P3). */
export const PROTOCOL_VERSION = 1;
