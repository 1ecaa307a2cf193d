import { CLOSE_CODES } from '../close-codes.js';
import type { Envelope, FrameLimits } from '../envelope.js';

/** One encoded envelope: text for JSON, bytes for binary codecs. */
export type Encoded = string | Uint8Array;

/** How envelopes become frames and frames become envelopes. Stateless: one instance serves every connection. */
export interface Codec {
  /** Name in subprotocols, metrics and documents. */
  readonly name: string;
  /** The WebSocket subprotocol that selects it (P1). */
  readonly subprotocol: string;
  /** Whether frames are binary. */
  readonly binary: boolean;
  /** Byte between two envelopes of one frame; `undefined` where they simply follow one another (P4). */
  readonly separator: number | undefined;
  /** One envelope, without separator. */
  encode(envelope: Envelope): Encoded;
  /**
   * The values of one frame, in order; nothing is validated but size, number, depth and syntax.
   *
   * @throws FrameError when the frame breaks a limit or is not of this codec (P4, P6).
   */
  decode(frame: Encoded, limits?: FrameLimits): unknown[];
}

/** An error about a frame, which ends the connection. */
export class FrameError extends Error {
  override readonly name = 'FrameError';

  constructor(
    readonly close: 'protocol_error' | 'message_too_large',
    message: string,
  ) {
    super(`${message} (close ${CLOSE_CODES[close].code})`);
  }
}

/** The error about a frame with more envelopes than the limit. */
export function tooManyEnvelopes({ maxEnvelopesPerFrame }: FrameLimits): FrameError {
  return new FrameError(
    'protocol_error',
    `A frame has more than ${maxEnvelopesPerFrame} envelopes (limits.maxEnvelopesPerFrame)`,
  );
}

/** The error about an envelope with more bytes than the limit. */
export function tooManyBytes({ maxMessageBytes }: FrameLimits): FrameError {
  return new FrameError(
    'message_too_large',
    `An envelope has more than ${maxMessageBytes} bytes (limits.maxMessageBytes)`,
  );
}
