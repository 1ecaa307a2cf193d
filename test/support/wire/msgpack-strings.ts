const strict = new TextDecoder('utf-8', { fatal: true });

/** Bytes of the number behind the tag, and whether it counts bytes, or elements that follow. */
const LENGTHS: Readonly<
  Record<number, { readonly width: 1 | 2 | 4; readonly of: 'str' | 'bin' | 'ext' | 'array' | 'map' }>
> = {
  0xc4: { width: 1, of: 'bin' },
  0xc5: { width: 2, of: 'bin' },
  0xc6: { width: 4, of: 'bin' },
  0xc7: { width: 1, of: 'ext' },
  0xc8: { width: 2, of: 'ext' },
  0xc9: { width: 4, of: 'ext' },
  0xd9: { width: 1, of: 'str' },
  0xda: { width: 2, of: 'str' },
  0xdb: { width: 4, of: 'str' },
  0xdc: { width: 2, of: 'array' },
  0xdd: { width: 4, of: 'array' },
  0xde: { width: 2, of: 'map' },
  0xdf: { width: 4, of: 'map' },
};
/** Data bytes behind the tags of fixed size: nil, booleans, numbers, fixext. */
const FIXED: Readonly<Record<number, number>> = {
  ...{ 0xc0: 0, 0xc2: 0, 0xc3: 0, 0xca: 4, 0xcb: 8, 0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8 },
  ...{ 0xd0: 1, 0xd1: 2, 0xd2: 4, 0xd3: 8, 0xd4: 2, 0xd5: 3, 0xd6: 5, 0xd7: 9, 0xd8: 17 },
};

/**
 * Reads a frame of MessagePack as decoders of other languages do: each string, keys included, is UTF-8, or the whole frame
 * is refused. JavaScript's own decoder takes anything.
 *
 * @throws TypeError for a string that is no UTF-8, RangeError for what is no MessagePack.
 */
export function assertStrings(frame: Uint8Array): void {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const text = (at: number, length: number): number => {
    strict.decode(frame.subarray(at, at + length));
    return at + length;
  };
  for (let at = 0; at < frame.byteLength;) {
    const tag = view.getUint8(at++);
    if (tag <= 0x9f || tag >= 0xe0) continue;
    if (tag <= 0xbf) at = text(at, tag & 0x1f);
    else if (tag in FIXED) at += FIXED[tag] as number;
    else {
      const length = LENGTHS[tag];
      if (length === undefined) throw new RangeError(`The tag ${tag} is never used`);
      const { width, of } = length;
      const count = width === 1 ? view.getUint8(at) : width === 2 ? view.getUint16(at) : view.getUint32(at);
      at += width;
      if (of === 'str') at = text(at, count);
      else if (of === 'bin') at += count;
      else if (of === 'ext') at += count + 1;
    }
  }
}
