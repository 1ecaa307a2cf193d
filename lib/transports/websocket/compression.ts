import { constants, deflateRawSync } from 'node:zlib';
import type { WireVariant } from '../../core/ports/connection.js';
import { FIN_BINARY, FIN_TEXT, framePayload, payloadBytes, RSV1, writePayload } from './frame.js';

/**
 * permessage-deflate (RFC 7692). Outbound, a frame is compressed once for all subscribers of a variant, on the
 * event loop: worth it for large events with many subscribers, a cost for answers to one client. Secrets beside
 * text that a client chooses do not belong into compressed frames (CRIME, BREACH).
 */
export interface CompressionOptions {
  /** Frames with a smaller payload, in bytes, are sent as they are. Default 1024. */
  readonly threshold?: number;
  /** zlib level, 1 (fast) to 9 (small). Default 3. */
  readonly level?: number;
  /** Client frames of the whole process that are inflated at the same time. Default 10. */
  readonly concurrency?: number;
}

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
  options: CompressionOptions,
): WireVariant['frame'] {
  const { threshold = 1_024, level = 3 } = options;
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

/** Options of ws's permessage-deflate. */
interface Negotiation {
  readonly serverNoContextTakeover: true;
  readonly clientNoContextTakeover: true;
  readonly threshold: number;
  readonly concurrencyLimit: number;
}

/**
 * What ws negotiates. No context is carried from message to message: the server's frames could not be shared
 * otherwise, and a client's window would stay in memory. ws applies `maxPayload` to the inflated size (G24).
 */
export function negotiation(options: CompressionOptions): Negotiation {
  return {
    serverNoContextTakeover: true,
    clientNoContextTakeover: true,
    threshold: options.threshold ?? 1_024,
    concurrencyLimit: options.concurrency ?? 10,
  };
}

/**
 * Whether a client that negotiated the extension takes the shared frames: they use the full window of 32 KiB.
 * One that asked for a smaller window is sent plain frames, which every client takes.
 */
export function takesSharedFrames(extensions: string | undefined): boolean {
  return extensions !== undefined && !/server_max_window_bits/i.test(extensions);
}

/** @throws RangeError naming the option. */
export function checkCompression({
  threshold = 1_024,
  level = 3,
  concurrency = 10,
}: CompressionOptions): void {
  const check = (name: string, value: number, min: number, max: number): void => {
    if (Number.isInteger(value) && value >= min && value <= max) return;
    throw new RangeError(`compression.${name}: ${value} is not an integer from ${min} to ${max}`);
  };
  check('threshold', threshold, 0, 2 ** 31 - 1);
  check('level', level, 1, 9);
  check('concurrency', concurrency, 1, 1_024);
}
