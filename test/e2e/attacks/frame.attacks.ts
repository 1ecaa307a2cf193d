import { deflateRawSync, constants } from 'node:zlib';
import { frame, type FrameShape } from './support/raw-socket.js';
import type { SocketAttack } from './support/socket-attack.js';

const PING = JSON.stringify({ type: 'request', id: 'a', event: 'echo' });
const of = (name: string, clause: string, close: number, ...frames: readonly Buffer[]): SocketAttack => ({
  name,
  clause,
  raw: true,
  sends: frames,
  close,
});
const bare = (first: number, shape: FrameShape = {}): Buffer => frame('', { first, ...shape });
const repeated = (times: number, bytes: Buffer): Buffer => Buffer.concat(Array<Buffer>(times).fill(bytes));

/** Frames that RFC 6455 does not allow, or that cost more than they are worth. */
export const frameAttacks: readonly SocketAttack[] = [
  of('a frame without a mask', 'P6c', 1002, frame(PING, { masked: false })),
  of('the reserved bit 1', 'P6c, G24', 1002, frame(PING, { first: 0xc1 })),
  of('the reserved bit 2', 'P6c', 1002, frame(PING, { first: 0xa1 })),
  of('the reserved bit 3', 'P6c', 1002, frame(PING, { first: 0x91 })),
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) =>
    of(`the opcode ${opcode}`, 'P6c', 1002, bare(0x80 | opcode)),
  ),
  of('a continuation of nothing', 'P6c', 1002, bare(0x80)),
  of('a text inside of a fragmented text', 'P6c', 1002, frame('{', { first: 0x01 }), frame(PING)),
  of('a fragmented ping', 'P6c', 1002, bare(0x09)),
  of('a fragmented close', 'P6c', 1002, bare(0x08)),
  of('a ping of 126 bytes', 'P6c', 1002, frame(Buffer.alloc(126), { first: 0x89 })),
  of('a close with one byte', 'P6c', 1002, frame(Buffer.alloc(1), { first: 0x88 })),
  of('a close with the code 1005', 'P6c', 1002, frame(Buffer.from([0x03, 0xed]), { first: 0x88 })),
  of('a close with the code 0', 'P6c', 1002, frame(Buffer.from([0, 0]), { first: 0x88 })),
  of(
    'a close with a reason that is no UTF-8',
    'P6c',
    4805,
    frame(Buffer.from([0x03, 0xe8, 0xff, 0xfe]), { first: 0x88 }),
  ),
  of('a length of 2^63', 'P4, G24', 4806, bare(0x81, { length: 2n ** 63n })),
  of('a length of 2^53', 'P4, G24', 4806, bare(0x81, { length: 2n ** 53n })),
  of('a length of 4 GiB', 'P4, G24', 4806, bare(0x81, { length: 2n ** 32n })),
  of('a length of 1 MiB, of which nothing comes', 'P4, G24', 4806, bare(0x81, { length: 2n ** 20n })),
  of(
    'a million empty fragments',
    'P4c, G16',
    4807,
    bare(0x01),
    repeated(1_000_000, Buffer.from([0x00, 0x80, 0, 0, 0, 0])),
  ),
  of(
    '100,000 fragments of one byte',
    'P4c, G16',
    4807,
    frame('[', { first: 0x01 }),
    repeated(100_000, Buffer.from([0x00, 0x81, 0, 0, 0, 0, 0x20])),
  ),
  {
    name: 'a message in three fragments with pings and empty ones between, which is well-formed',
    clause: 'P4c, P8d',
    raw: true,
    sends: [
      frame(PING.slice(0, 5), { first: 0x01 }),
      frame('x', { first: 0x89 }),
      bare(0x00),
      frame(PING.slice(5, 9), { first: 0x00 }),
      bare(0x8a),
      frame(PING.slice(9), { first: 0x80 }),
    ],
    answer: 'reply',
  },
  {
    name: '20 pings at once, which are answered',
    clause: 'P8d',
    raw: true,
    sends: [repeated(20, frame('x', { first: 0x89 })), frame(PING)],
    answer: 'reply',
  },
  {
    name: 'a compressed frame where compression is off',
    clause: 'G24',
    raw: true,
    headers: ['Sec-WebSocket-Extensions: permessage-deflate'],
    sends: [frame(deflateRawSync(PING), { first: 0xc1 })],
    close: 1002,
  },
];

/** A message of the bytes that it is compressed to. */
const deflated = (bytes: Buffer): Buffer =>
  deflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
const EXTENSION = ['Sec-WebSocket-Extensions: permessage-deflate'];

/** Where compression is on. */
export const deflateAttacks: readonly SocketAttack[] = [
  {
    name: 'a compressed message, which is well-formed',
    clause: 'G24',
    raw: true,
    headers: EXTENSION,
    sends: [frame(deflated(Buffer.from(PING)), { first: 0xc1 })],
    answer: 'reply',
  },
  ...[1, 16, 64].map((mebibytes) => ({
    name: `${mebibytes} MiB of zeros, compressed`,
    clause: 'P4, G24',
    raw: true,
    headers: EXTENSION,
    sends: [frame(deflated(Buffer.alloc(mebibytes * 1_048_576)), { first: 0xc1 })],
    close: 4806,
  })),
  {
    name: '16 MiB of zeros, compressed, in fragments',
    clause: 'P4, G24',
    raw: true,
    headers: EXTENSION,
    sends: (() => {
      const bytes = deflated(Buffer.alloc(16 * 1_048_576));
      const half = bytes.length >> 1;
      return [frame(bytes.subarray(0, half), { first: 0x41 }), frame(bytes.subarray(half), { first: 0x80 })];
    })(),
    close: 4806,
  },
  {
    name: '100,000 brackets, compressed',
    clause: 'P4, G24',
    raw: true,
    headers: EXTENSION,
    sends: [frame(deflated(Buffer.alloc(60_000, '[')), { first: 0xc1 })],
    close: 4805,
  },
  {
    name: 'compressed bytes that are garbage',
    clause: 'P6c',
    raw: true,
    headers: EXTENSION,
    sends: [frame(Buffer.alloc(64, 0xff), { first: 0xc1 })],
    close: 4805,
  },
  {
    name: 'a compressed ping',
    clause: 'P6c',
    raw: true,
    headers: EXTENSION,
    sends: [frame('x', { first: 0xc9 })],
    close: 1002,
  },
  {
    name: 'a continuation with the bit of compression',
    clause: 'P6c',
    raw: true,
    headers: EXTENSION,
    sends: [frame('x', { first: 0x41 }), frame('x', { first: 0xc0 })],
    close: 1002,
  },
];
