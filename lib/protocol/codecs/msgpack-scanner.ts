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
  const { length } = bytes;
  /** Of each container around the current one: values that are still to come. */
  const around: number[] = [];
  let left = 1;
  let offset = start;
  for (;;) {
    while (left === 0) {
      const more = around.pop();
      if (more === undefined) return offset;
      left = more;
    }
    left--;
    if (offset >= length) throw cutOff();
    const tag = bytes[offset++] as number;
    let children = 0;
    // Most values are one of the first kinds. Nothing is made for any of them: a frame may have 64 thousand.
    if (tag <= 0x7f || tag >= 0xe0) continue;
    if (tag <= 0x8f) children = (tag & 0x0f) * 2;
    else if (tag <= 0x9f) children = tag & 0x0f;
    else if (tag <= 0xbf) offset += tag & 0x1f;
    else {
      const lengthBytes = LENGTH_BYTES[tag - 0xc0] as number;
      const fixedBytes = FIXED_BYTES[tag - 0xc0] as number;
      if (fixedBytes === 0) throw new FrameError('The frame is not MessagePack');
      if (offset + lengthBytes > length) throw cutOff();
      const count = lengthAt(bytes, offset, lengthBytes);
      offset += fixedBytes - 1 + lengthBytes;
      if (tag <= 0xdb) offset += count;
      else children = tag <= 0xdd ? count : count * 2;
    }
    // Every element takes at least a byte, so a count beyond the frame is a lie. It is refused before it is counted down.
    if (children > length - offset) throw cutOff();
    if (children === 0) continue;
    if (around.length + 1 > maxDepth)
      throw new FrameError(`An envelope nests more than ${maxDepth} arrays and objects`);
    around.push(left);
    left = children;
  }
}

// By tag from 0xc0 to 0xdf. Bytes of the length field behind the tag: bin, ext, str, array and map have one.
const LENGTH_BYTES = [
  0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4,
];
// Bytes that are always there: the tag, the type of an ext, the data of a number or fixext. 0: the tag is never used.
const FIXED_BYTES = [
  1, 0, 1, 1, 1, 1, 1, 2, 2, 2, 5, 9, 2, 3, 5, 9, 2, 3, 5, 9, 3, 4, 6, 10, 18, 1, 1, 1, 1, 1, 1, 1,
];

/** Big-endian. */
function lengthAt(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let index = 0; index < count; index++) value = value * 256 + (bytes[at + index] as number);
  return value;
}

function cutOff(): FrameError {
  return new FrameError('The frame ends inside a MessagePack value');
}
