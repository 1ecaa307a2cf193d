/** What a client frame may be, as told in `welcome.limits` and enforced before parsing (P4, G24). */
export interface FrameLimits {
  /** Bytes of one frame. */
  readonly maxFrameBytes: number;
  /** Bytes of one envelope. */
  readonly maxMessageBytes: number;
  /** Envelopes of one frame. */
  readonly maxEnvelopesPerFrame: number;
}

/**
 * The least that a server may be limited to: a client that does not know its limits yet sends so many envelopes at once,
 * `hello` included (P3).
 */
export const MIN_ENVELOPES_PER_FRAME = 16;

/** The limits that `welcome` announces. */
export interface AnnouncedLimits extends FrameLimits {
  /** Subscriptions of one connection. */
  readonly maxChannels: number;
  /** Commands of one connection a second, sustained. */
  readonly ratePerSecond: number;
  /** How long a publish may be sent again under its id, in milliseconds. */
  readonly dedupeMs: number;
}

/** Deepest nesting of arrays and objects in one envelope: deeper ones only serve to exhaust the stack of whoever walks them. */
export const MAX_DEPTH = 128;
