import { decodeFrame, FrameError, type Codec, type Encoded } from '../../protocol/codecs/codec.js';
import type { FrameLimits } from '../../protocol/envelope.js';

/** A frame is parsed in pieces of about this size, each of whole envelopes: to parse all of a large one would take too long a turn. */
const PIECE_BYTES = 16 * 1024;

/** Part of a frame. */
export interface FramePiece {
  readonly values: readonly unknown[];
  /** Where it ends in the frame. */
  readonly end: number;
}

/**
 * Parses the envelopes of a frame from `start` on, as many as make a piece.
 *
 * @param before how many came before it in the frame.
 * @returns the name of the close code of one that breaks a limit or is not of the codec.
 */
export function parsePiece(
  codec: Codec,
  frame: Encoded,
  start: number,
  before: number,
  limits: FrameLimits,
): FramePiece | FrameError['close'] {
  const end = endOfPiece(codec, frame, start);
  if (typeof end === 'string') return end;
  const isWhole = start === 0 && end >= frame.length;
  const maxEnvelopesPerFrame = limits.maxEnvelopesPerFrame - before;
  const piece = isWhole
    ? frame
    : typeof frame === 'string'
      ? frame.slice(start, end)
      : frame.subarray(start, end);
  const values = decodeFrame(codec, piece, { ...limits, maxEnvelopesPerFrame });
  if (typeof values === 'string') return values;
  // A codec may count only where there are several.
  return values.length > maxEnvelopesPerFrame ? 'protocol_error' : { values, end };
}

function endOfPiece(codec: Codec, frame: Encoded, start: number): number | FrameError['close'] {
  const { length } = frame;
  if (length - start <= PIECE_BYTES) return length;
  if (typeof frame === 'string') {
    if (codec.separator === undefined) return length;
    const end = frame.indexOf(String.fromCharCode(codec.separator), start + PIECE_BYTES);
    return end === -1 ? length : end + 1;
  }
  if (codec.endOf === undefined) return length;
  try {
    let end = start;
    while (end < length && end - start < PIECE_BYTES) end = codec.endOf(frame, end);
    return end;
  } catch (error) {
    return error instanceof FrameError ? error.close : 'protocol_error';
  }
}
