import { randomBytes } from 'node:crypto';

/** One masked client frame (RFC 6455 §5.2, §5.3): text of a string, binary of bytes. */
export function maskedFrame(message) {
  const payload = Buffer.from(message);
  if (payload.length > 65_535) throw new RangeError('The bench sends short frames only');
  const long = payload.length > 125;
  const header = Buffer.alloc(long ? 8 : 6);
  header[0] = typeof message === 'string' ? 0x81 : 0x82;
  header[1] = 0x80 | (long ? 126 : payload.length);
  if (long) header.writeUInt16BE(payload.length, 2);
  const mask = randomBytes(4);
  mask.copy(header, header.length - 4);
  for (let index = 0; index < payload.length; index++) payload[index] ^= mask[index & 3];
  return Buffer.concat([header, payload]);
}

/** Bytes of an unmasked server frame around a payload of `bytes` bytes. */
export function frameBytes(bytes) {
  if (bytes <= 125) return bytes + 2;
  return bytes + (bytes <= 65_535 ? 4 : 10);
}
