import { MAX_DEPTH } from '../envelope.js';
import { FrameError } from './codec.js';

/**
 * Finds the end of the MessagePack value that begins at `start`, without building the value. So the codec counts values,
 * measures each and bounds their depth before anything is allocated (G24): a header of five bytes may claim an array of
 * four billion elements.
 *
 * @returns The offset behind the value.
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
    const header = headerAt(view, offset);
    offset = header.end;
    // Every element takes at least a byte, so a count beyond the frame is a lie. It is refused before it is counted down.
    if (header.children > bytes.byteLength - offset) throw cutOff();
    if (header.children > 0) {
      if (remaining.length > maxDepth) {
        throw new FrameError('protocol_error', `An envelope nests more than ${maxDepth} arrays and objects`);
      }
      remaining.push(header.children);
    }
  }
  return offset;
}

interface Header {
  /** Offset behind the header and, for a value without children, its data. */
  readonly end: number;
  /** Values that follow as children (twice the entries for a map). */
  readonly children: number;
}

// By tag from 0xc0 to 0xdf. Bytes of the length field behind the tag: bin, ext, str, array and map have one.
const LENGTH_BYTES = [
  0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4,
];
// Bytes that are always there: the tag, the type of an ext, the data of a number or fixext. 0: the tag is never used.
const FIXED_BYTES = [
  1, 0, 1, 1, 1, 1, 1, 2, 2, 2, 5, 9, 2, 3, 5, 9, 2, 3, 5, 9, 3, 4, 6, 10, 18, 1, 1, 1, 1, 1, 1, 1,
];

function headerAt(view: DataView, at: number): Header {
  if (at >= view.byteLength) throw cutOff();
  const tag = view.getUint8(at);
  if (tag <= 0x7f || tag >= 0xe0) return { end: at + 1, children: 0 };
  if (tag <= 0x8f) return { end: at + 1, children: (tag & 0x0f) * 2 };
  if (tag <= 0x9f) return { end: at + 1, children: tag & 0x0f };
  if (tag <= 0xbf) return { end: at + 1 + (tag & 0x1f), children: 0 };
  const lengthBytes = LENGTH_BYTES[tag - 0xc0] ?? 0;
  const fixedBytes = FIXED_BYTES[tag - 0xc0] ?? 0;
  if (fixedBytes === 0) throw new FrameError('protocol_error', 'The frame is not MessagePack');
  if (at + 1 + lengthBytes > view.byteLength) throw cutOff();
  const length = lengthAt(view, at + 1, lengthBytes);
  const end = at + fixedBytes + lengthBytes;
  if (tag <= 0xdb) return { end: end + length, children: 0 };
  return { end, children: tag <= 0xdd ? length : length * 2 };
}

function lengthAt(view: DataView, at: number, lengthBytes: number): number {
  if (lengthBytes === 0) return 0;
  if (lengthBytes === 1) return view.getUint8(at);
  return lengthBytes === 2 ? view.getUint16(at) : view.getUint32(at);
}

function cutOff(): FrameError {
  return new FrameError('protocol_error', 'The frame ends inside a MessagePack value');
}
