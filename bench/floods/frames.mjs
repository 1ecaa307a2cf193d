import { deflateRawSync } from 'node:zlib';

/** Opcodes of RFC 6455 §5.2. */
export const CONTINUATION = 0x0;
export const TEXT = 0x1;
export const BINARY = 0x2;
export const PING = 0x9;
export const PONG = 0xa;

/** Not zero: a receiver skips the work of unmasking for a mask of zeros. */
const MASK = Buffer.from([0x5a, 0xc3, 0x17, 0x9e]);
/** What a flood writes at a time. */
const CHUNK_BYTES = 64 * 1024;

/**
 * One masked client frame of any kind, legal or not.
 *
 * @param {string | Uint8Array} content
 * @param {object} [options]
 * @param {number} [options.opcode] Default {@link TEXT}.
 * @param {boolean} [options.fin] Whether the message ends with it. Default true.
 * @param {boolean} [options.compressed] Whether it says so (RFC 7692 §6). Default false.
 * @param {number} [options.declared] Length that the header claims. Default the content's.
 */
export function frame(content = '', { opcode = TEXT, fin = true, compressed = false, declared } = {}) {
  const payload = Buffer.from(content);
  const length = declared ?? payload.length;
  const extended = length > 65_535 ? 8 : length > 125 ? 2 : 0;
  const header = Buffer.alloc(2 + extended + 4);
  header[0] = (fin ? 0x80 : 0) | (compressed ? 0x40 : 0) | opcode;
  header[1] = 0x80 | (extended === 8 ? 127 : extended === 2 ? 126 : length);
  if (extended === 2) header.writeUInt16BE(length, 2);
  if (extended === 8) header.writeBigUInt64BE(BigInt(length), 2);
  MASK.copy(header, header.length - 4);
  for (let index = 0; index < payload.length; index++) payload[index] ^= MASK[index & 3];
  return Buffer.concat([header, payload]);
}

/** The same frame again and again, as much as is written at a time. */
export function repeated(one, bytes = CHUNK_BYTES) {
  return Buffer.concat(Array.from({ length: Math.max(1, Math.floor(bytes / one.length)) }, () => one));
}

/** Envelopes in one frame. */
export function envelopes(...list) {
  return frame(list.map((envelope) => JSON.stringify(envelope)).join('\n'));
}

/** A compressed frame of a text that shrinks well. */
export function deflated(text) {
  // Every sync flush ends in four bytes that RFC 7692 §7.2.1 takes off.
  return frame(deflateRawSync(text, { finishFlush: 2 }).subarray(0, -4), { compressed: true });
}
