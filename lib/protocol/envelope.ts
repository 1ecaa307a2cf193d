/**
 * One command or message on the wire (P5). Every field but `type` is optional in this shape; `validateCommand` checks
 * those that a command requires.
 */
export interface Envelope {
  readonly type: string;
  /** Chosen by the sender, 1–64 characters; on events by the publisher. */
  readonly id?: string;
  /** The sender's clock in milliseconds; informational only. */
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
/** Deepest nesting of arrays and objects in one envelope. Deeper ones only serve to exhaust the stack of code that walks them. */
export const MAX_DEPTH = 128;

/** The bounds of a client's frame, as `welcome.limits` announces them. They are enforced before parsing (P4). */
export interface FrameLimits {
  /** Bytes of one frame. */
  readonly maxFrameBytes: number;
  /** Bytes of one envelope. */
  readonly maxMessageBytes: number;
  /** Envelopes of one frame. */
  readonly maxEnvelopesPerFrame: number;
}

/** The limits that `welcome` announces. */
export interface AnnouncedLimits extends FrameLimits {
  /** Subscriptions of one connection. */
  readonly maxChannels: number;
  /** Commands of one connection a second, sustained. */
  readonly ratePerSecond: number;
  /** How long a publish may be sent again with its id, in milliseconds. */
  readonly dedupeMs: number;
}

/**
 * The least `maxEnvelopesPerFrame` of a server: a client that does not know the limits yet may send so many envelopes at
 * once, `hello` included (P3c).
 */
export const MIN_ENVELOPES_PER_FRAME = 16;

/** Revision of protocol v1 that this build speaks (P3). */
export const PROTOCOL_VERSION = 1;

/** The feature by which changes of the members of a large channel are sent as their number (P22a). */
export const PRESENCE_COUNT = 'presence-count';

/**
 * The optional features that this version speaks (P22). Neither side uses one unless `hello.features` and
 * `welcome.features` both name it.
 */
export const FEATURES: readonly string[] = [PRESENCE_COUNT];

/** The features of the other side that this version speaks too. */
export function commonFeatures(named: readonly string[]): readonly string[] {
  return FEATURES.filter((feature) => named.includes(feature));
}
