import { MAX_DEPTH } from '../envelope.js';
import { FrameError } from './codec.js';

/**
 * Finds where the MessagePack value that starts at `start` ends, without building it. It lets the codec count
 * values, measure each and bound their depth *before* anything is allocated (G24): a five-byte header may
 * claim an array of four billion elements.
 *
 * @returns the offset behind the value.
 * @throws FrameError when the value is cut off, nested too deeply or not MessagePack.
 */
export function endOfValue(bytes: Uint8Array, start: number, maxDepth = MAX_DEPTH): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // remaining[d]: values still to come at depth d.
  const remaining = [1];
  let offset = start;
  while (remaining.length > 0) {
    const depth = remaining.length - 1;
    if (remaining[depth] === 0) {
      remaining.pop();
      continue;
    }
    remaining[depth] = (remaining[depth] ?? 0) - 1;
    const header = headerAt(bytes, view, offset);
    offset = header.end;
    if (offset > bytes.byteLength)
      throw new FrameError('protocol_error', 'A MessagePack value that is cut off');
    if (header.children > 0) {
      // Every element takes at least a byte, so a count beyond the frame is a lie: refused before it is counted down.
      if (header.children > bytes.byteLength - offset) {
        throw new FrameError('protocol_error', 'A MessagePack value that is cut off');
      }
      if (remaining.length > maxDepth) {
        throw new FrameError('protocol_error', `A message nested deeper than ${maxDepth}`);
      }
      remaining.push(header.children);
    }
  }
  return offset;
}

interface Header {
  /** Offset behind the header and, for a scalar, its data. */
  readonly end: number;
  /** Values that follow as children (twice the entries for a map). */
  readonly children: number;
}

function scalar(end: number): Header {
  return { end, children: 0 };
}

function headerAt(bytes: Uint8Array, view: DataView, at: number): Header {
  const tag = bytes[at];
  if (tag === undefined) throw new FrameError('protocol_error', 'A MessagePack value that is cut off');
  if (tag <= 0x7f || tag >= 0xe0) return scalar(at + 1);
  if (tag <= 0x8f) return { end: at + 1, children: (tag & 0x0f) * 2 };
  if (tag <= 0x9f) return { end: at + 1, children: tag & 0x0f };
  if (tag <= 0xbf) return scalar(at + 1 + (tag & 0x1f));
  return longHeaderAt(bytes, view, at, tag);
}

function longHeaderAt(bytes: Uint8Array, view: DataView, at: number, tag: number): Header {
  const need = (length: number): void => {
    if (at + 1 + length > bytes.byteLength)
      throw new FrameError('protocol_error', 'A MessagePack value that is cut off');
  };
  const length8 = (): number => (need(1), view.getUint8(at + 1));
  const length16 = (): number => (need(2), view.getUint16(at + 1));
  const length32 = (): number => (need(4), view.getUint32(at + 1));
  switch (tag) {
    case 0xc0: // nil
    case 0xc2: // false
    case 0xc3: // true
      return scalar(at + 1);
    case 0xc4: // bin 8
    case 0xd9: // str 8
      return scalar(at + 2 + length8());
    case 0xc5: // bin 16
    case 0xda: // str 16
      return scalar(at + 3 + length16());
    case 0xc6: // bin 32
    case 0xdb: // str 32
      return scalar(at + 5 + length32());
    case 0xc7: // ext 8
      return scalar(at + 3 + length8());
    case 0xc8: // ext 16
      return scalar(at + 4 + length16());
    case 0xc9: // ext 32
      return scalar(at + 6 + length32());
    case 0xcc: // uint 8
    case 0xd0: // int 8
      return scalar(at + 2);
    case 0xcd: // uint 16
    case 0xd1: // int 16
      return scalar(at + 3);
    case 0xca: // float 32
    case 0xce: // uint 32
    case 0xd2: // int 32
      return scalar(at + 5);
    case 0xcb: // float 64
    case 0xcf: // uint 64
    case 0xd3: // int 64
      return scalar(at + 9);
    case 0xd4: // fixext 1, 2, 4, 8, 16
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
      return scalar(at + 2 + (1 << (tag - 0xd4)));
    case 0xdc: // array 16
      return { end: at + 3, children: length16() };
    case 0xdd: // array 32
      return { end: at + 5, children: length32() };
    case 0xde: // map 16
      return { end: at + 3, children: length16() * 2 };
    case 0xdf: // map 32
      return { end: at + 5, children: length32() * 2 };
    default: // 0xc1 is never used
      throw new FrameError('protocol_error', 'A frame that is not MessagePack');
  }
}
