import { constants, deflateRawSync } from 'node:zlib';
import type { WireVariant } from '../../core/ports/connection.js';
import type { CompressionOptions } from './options.js';
import { FIN_BINARY, FIN_TEXT, framePayload, payloadBytes, RSV1, writePayload } from './frame.js';

/** Every sync flush ends in these four bytes, which RFC 7692 §7.2.1 takes off. */
const TRAILER_BYTES = 4;

/**
 * Compresses whatever is at least `threshold` bytes, where that makes it smaller. The rest is framed as usual,
 * which RFC 7692 §6 allows per message.
 */
export function deflatingFrame(
  binary: boolean,
  separator: number | undefined,
  plain: WireVariant['frame'],
  { threshold, level }: Required<CompressionOptions>,
): WireVariant['frame'] {
  const firstByte = (binary ? FIN_BINARY : FIN_TEXT) | RSV1;
  return (envelopes) => {
    const bytes = payloadBytes(envelopes, separator);
    if (bytes < threshold) return plain(envelopes);
    const payload = Buffer.allocUnsafe(bytes);
    writePayload(payload, 0, envelopes, separator);
    const deflated = deflateRawSync(payload, { level, finishFlush: constants.Z_SYNC_FLUSH });
    const length = deflated.byteLength - TRAILER_BYTES;
    return length < bytes ? framePayload(firstByte, deflated.subarray(0, length)) : plain(envelopes);
  };
}

/**
 * Whether a client that negotiated the extension takes the shared frames: they use the full window of 32 KiB.
 * One that asked for a smaller window is sent plain frames, which every client takes.
 */
export function takesSharedFrames(extensions: string | undefined): boolean {
  return extensions !== undefined && !/server_max_window_bits/i.test(extensions);
}
