import zlib from 'node:zlib';

/** By the number of their form, as a batch has it. */
const Form = { gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;

/** Most bytes that one of gzip becomes. */
const GZIP_RATIO = 1_032;
/** Most bytes that one of LZ4 becomes. */
const LZ4_RATIO = 255;
const LZ4_HEAD_BYTES = 7;
const LZ4_MAGIC = 0x184d_2204;

type Decompress = (data: Buffer, options: { readonly maxOutputLength: number }) => Buffer;

/** How many bytes compressed records can have when they are not, without reading them; of Zstandard there is no such number. */
export function mostExpandedBytes(form: number, data: Buffer): number {
  if (form === Form.gzip) return data.length * GZIP_RATIO;
  if (form === Form.snappy) return snappyBytes(data);
  if (form === Form.lz4) return lz4Bytes(data);
  return form === Form.zstd ? Infinity : 0;
}

/** How many they have; `Infinity` where these are more than `most`. Of what cannot be read it says nothing: who reads it does. */
export function expandedBytes(form: number, data: Buffer, most: number): number {
  if (form === Form.gzip) return decompressed(zlib.gunzipSync, data, most);
  if (form !== Form.zstd) return mostExpandedBytes(form, data);
  const { zstdDecompressSync } = zlib as { readonly zstdDecompressSync?: Decompress };
  return zstdDecompressSync === undefined ? 0 : decompressed(zstdDecompressSync, data, most);
}

function decompressed(decompress: Decompress, data: Buffer, most: number): number {
  try {
    return decompress(data, { maxOutputLength: Math.max(1, most) }).length;
  } catch (error) {
    return (error as { readonly code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE' ? Infinity : 0;
  }
}

/** As it says itself: its reader takes so much memory before it looks at the rest. */
function snappyBytes(data: Buffer): number {
  let bytes = 0;
  for (const [index, byte] of data.subarray(0, 5).entries()) {
    bytes += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) break;
  }
  return bytes;
}

/** A block has no more than its frame allows, and none more than the form can have; of frames of another kind that alone is known. */
function lz4Bytes(data: Buffer): number {
  if (data.length < LZ4_HEAD_BYTES || data.readUInt32LE(0) !== LZ4_MAGIC) return data.length * LZ4_RATIO;
  const [flags, sizes] = [data.readUInt8(4), data.readUInt8(5)];
  const blockBytes = 2 ** (8 + 2 * ((sizes >> 4) & 0b111));
  const checksumBytes = (flags & 0b1_0000) === 0 ? 0 : 4;
  let at = LZ4_HEAD_BYTES + ((flags & 0b1000) === 0 ? 0 : 8) + ((flags & 0b1) === 0 ? 0 : 4);
  let bytes = 0;
  while (at + 4 <= data.length) {
    const length = data.readUInt32LE(at) & 0x7fff_ffff;
    at += 4;
    if (length === 0) break;
    bytes += Math.min(blockBytes, length * LZ4_RATIO);
    at += length + checksumBytes;
  }
  // Behind its end another frame may begin.
  return bytes + Math.max(0, data.length - at) * LZ4_RATIO;
}
