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
  /**
   * Where the envelope of a frame ends that begins at `start`: a server parses a large frame in pieces by it. A text codec has its
   * `separator` for that. Left out: a frame is parsed as a whole.
   *
   * @throws FrameError where there is no envelope.
   */
  endOf?(frame: Uint8Array, start: number): number;
}

/** An error about a frame, which ends the connection. */
export class FrameError extends Error {
  override readonly name = 'FrameError';

  constructor(
    message: string,
    readonly close: 'protocol_error' | 'message_too_large' = 'protocol_error',
  ) {
    super(`${message} (close ${CLOSE_CODES[close].code})`);
  }
}

/** @returns the values of a frame, or the name of the close code of one that breaks a limit or is not of the codec. */
export function decodeFrame(
  codec: Codec,
  frame: Encoded,
  limits: FrameLimits,
): unknown[] | FrameError['close'] {
  try {
    return codec.decode(frame, limits);
  } catch (error) {
    return error instanceof FrameError ? error.close : 'protocol_error';
  }
}

/** The error about a frame with more envelopes than the limit. */
export function tooManyEnvelopes({ maxEnvelopesPerFrame }: FrameLimits): FrameError {
  return new FrameError(`A frame has more than ${maxEnvelopesPerFrame} envelopes (maxEnvelopesPerFrame)`);
}

/** The error about an envelope with more bytes than the limit. */
export function tooManyBytes({ maxMessageBytes }: FrameLimits): FrameError {
  return new FrameError(`An envelope above ${maxMessageBytes} bytes (maxMessageBytes)`, 'message_too_large');
}
