/**
 * The partition of a channel: FNV-1a over its characters, which the grammar of names keeps to ASCII, well mixed. Every
 * version of the library must give the same answer, for it decides where a channel's log lies.
 */
export function partitionOf(channel: string, partitions: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < channel.length; index += 1) {
    hash = Math.imul(hash ^ channel.charCodeAt(index), 0x01000193);
  }
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x45d9f3b);
  hash ^= hash >>> 16;
  return (hash >>> 0) % partitions;
}

const SLOTS = 16_384;

/** The slot of a hash tag: CRC16 (XMODEM), as the Redis Cluster specification has it. */
export function slotOf(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
    crc &= 0xffff;
  }
  return crc % SLOTS;
}
