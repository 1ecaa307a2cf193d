import type { FramedEnvelope } from '../../core/ports/connection.js';
import type { Encoded } from '../../protocol/codecs/codec.js';

/** First byte of a whole text message: FIN and opcode 1 (RFC 6455 §5.2). */
export const FIN_TEXT = 0x81;
/** First byte of a whole binary message: FIN and opcode 2. */
export const FIN_BINARY = 0x82;
/** Marks a message as compressed (RFC 7692 §6). */
export const RSV1 = 0x40;

/** Largest payload whose length fits into the second byte, and into the two bytes behind it. */
const MAX_SHORT = 125;
const MAX_MEDIUM = 65_535;
const UINT32 = 0x1_0000_0000;

/**
 * One unmasked text frame that holds the envelopes, joined by the codec's separator (P4, RFC 6455 §5.2). The
 * same buffer is written to every socket of a variant, so it is built with one allocation and never changed.
 *
 * @param separator Byte between two envelopes; `undefined` where they simply follow one another.
 * @example frameText([Buffer.from('{"type":"pong"}')], 0x0a) // <81 0f 7b …>
 */
export function frameText(envelopes: readonly Buffer[], separator: number | undefined): Buffer {
  return frame(FIN_TEXT, envelopes, separator);
}

/** The same as {@link frameText} for codecs whose envelopes are bytes. */
export function frameBinary(envelopes: readonly Buffer[], separator: number | undefined): Buffer {
  return frame(FIN_BINARY, envelopes, separator);
}

/**
 * One envelope in a frame of its own, made in one piece: with the text's bytes written into the frame itself.
 *
 * @param binary Whether the codec's envelopes are bytes.
 * @example frameOne(false, '{"type":"pong"}').frame // <81 0f 7b …>
 */
export function frameOne(binary: boolean, encoded: Encoded): FramedEnvelope {
  const bytes = typeof encoded === 'string' ? Buffer.byteLength(encoded) : encoded.byteLength;
  const target = begun(binary ? FIN_BINARY : FIN_TEXT, bytes);
  const start = target.length - bytes;
  if (typeof encoded === 'string') target.write(encoded, start);
  else target.set(encoded, start);
  return { frame: target, bytes: target.subarray(start) };
}

/** One frame around a payload that exists already, e.g. a compressed one. */
export function framePayload(firstByte: number, payload: Uint8Array): Buffer {
  const target = begun(firstByte, payload.byteLength);
  target.set(payload, target.length - payload.byteLength);
  return target;
}

/** Bytes of the envelopes and of the separators between them. */
export function payloadBytes(envelopes: readonly Buffer[], separator: number | undefined): number {
  let bytes = separator === undefined || envelopes.length === 0 ? 0 : envelopes.length - 1;
  for (const envelope of envelopes) bytes += envelope.byteLength;
  return bytes;
}

/** Writes the envelopes and the separators between them from `offset` on. */
export function writePayload(
  target: Buffer,
  offset: number,
  envelopes: readonly Buffer[],
  separator: number | undefined,
): void {
  let at = offset;
  let first = true;
  for (const envelope of envelopes) {
    if (separator !== undefined && !first) target[at++] = separator;
    first = false;
    target.set(envelope, at);
    at += envelope.byteLength;
  }
}

function frame(firstByte: number, envelopes: readonly Buffer[], separator: number | undefined): Buffer {
  const bytes = payloadBytes(envelopes, separator);
  const target = begun(firstByte, bytes);
  writePayload(target, target.length - bytes, envelopes, separator);
  return target;
}

/** A frame with its header. The caller writes every byte behind it, so no unzeroed memory leaves the process. */
function begun(firstByte: number, payload: number): Buffer {
  const target = Buffer.allocUnsafe(headerBytes(payload) + payload);
  writeHeader(target, firstByte, payload);
  return target;
}

function headerBytes(payload: number): number {
  if (payload <= MAX_SHORT) return 2;
  return payload <= MAX_MEDIUM ? 4 : 10;
}

function writeHeader(target: Buffer, firstByte: number, payload: number): void {
  target[0] = firstByte;
  if (payload <= MAX_SHORT) {
    target[1] = payload;
  } else if (payload <= MAX_MEDIUM) {
    target[1] = 126;
    target.writeUInt16BE(payload, 2);
  } else {
    target[1] = 127;
    target.writeUInt32BE(Math.floor(payload / UINT32), 2);
    target.writeUInt32BE(payload % UINT32, 6);
  }
}
