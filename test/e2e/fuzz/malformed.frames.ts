import { encode } from '@msgpack/msgpack';
import type { ClientCommandType } from '../../../lib/protocol/commands.js';
import { COMMAND_FIELDS, spoil, WELL_FORMED } from '../../support/wire/command-fields.js';
import fc from '../../support/property.js';

export const CODECS = ['json', 'msgpack'] as const;

export type CodecName = (typeof CODECS)[number];

export const TYPES = Object.keys(COMMAND_FIELDS) as ClientCommandType[];

export const bytesOf = (codec: CodecName, value: unknown): Buffer =>
  Buffer.from(codec === 'json' ? JSON.stringify(value) : encode(value, { maxDepth: 1_000 }));

/** JSON text, as broken as can be. */
const jsonFrames = (() => {
  const wellFormed = fc
    .constantFrom(...TYPES.filter((type) => type !== 'bye'))
    .map((type) => JSON.stringify({ ...WELL_FORMED[type], id: 'f1' }));
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.json({ maxDepth: 6 }),
    fc.tuple(wellFormed, fc.nat()).map(([line, at]) => line.slice(0, at % line.length)),
    fc
      .tuple(wellFormed, fc.nat(), fc.string({ unit: 'binary', minLength: 1, maxLength: 2 }))
      .map(([line, at, part]) => line.slice(0, at % line.length) + part + line.slice((at % line.length) + 1)),
    fc
      .tuple(fc.constantFrom('[', '{"a":', '[[{"a":'), fc.integer({ min: 1, max: 20_000 }))
      .map(([open, times]) => open.repeat(Math.ceil(times / open.length))),
    fc
      .integer({ min: 100, max: 30_000 })
      .map((levels) => `{"type":"ping","id":${'['.repeat(levels)}${']'.repeat(levels)}}`),
    fc.integer({ min: 1, max: 250_000 }).map((lines) => '\n'.repeat(lines)),
    fc.integer({ min: 250, max: 5_000 }).map((lines) => '{}\n'.repeat(lines)),
    fc
      .constantFrom(
        '1e999999',
        '9'.repeat(5_000),
        '-0',
        '0.1e-99999',
        '0x1',
        '01',
        'NaN',
        '-Infinity',
        '1_000',
      )
      .map((number) => `{"type":"ping","id":"f1","ts":${number}}`),
    fc
      .constantFrom('\\ud800', '\\udfff\\ud800', '\\u0000', '\\u', '\\x41', '\u0000', '\u2028')
      .map((escape) => `{"type":"ping","id":"${escape}"}`),
    fc.constantFrom(
      '{"type":"ping","id":"a","id":7}',
      '{"type":"bye","type":"ping","id":"f1"}',
      '{"__proto__":{"type":"ping","id":"f1"}}',
    ),
    fc
      .integer({ min: 60_000, max: 300_000 })
      .map((size) => `{"type":"ping","id":"f1","meta":{"pad":"${'x'.repeat(size)}"}}`),
    fc.constant('\uFEFF{"type":"ping","id":"f1"}'),
  );
  return fc.oneof(
    { weight: 8, arbitrary: text.map((line) => Buffer.from(line)) },
    // Bytes that are no UTF-8 in a text frame.
    {
      weight: 1,
      arbitrary: fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(wellFormed, fc.nat(), fc.constantFrom(0xff, 0xc0, 0xed, 0x80))
        .map(([line, at, byte]) => {
          const bytes = Buffer.from(line);
          bytes[at % bytes.length] = byte;
          return bytes;
        }),
    },
  );
})();

/** MessagePack, likewise. */
const msgpackFrames = (() => {
  const wellFormed = fc
    .constantFrom(...TYPES.filter((type) => type !== 'bye'))
    .map((type) => Buffer.from(encode({ ...WELL_FORMED[type], id: 'f1' })));
  const of = (...bytes: readonly number[]) => Buffer.from(bytes);
  return fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.tuple(wellFormed, fc.nat()).map(([bytes, at]) => bytes.subarray(0, at % bytes.length)),
    fc.tuple(wellFormed, fc.nat(), fc.nat(255)).map(([bytes, at, byte]) => {
      const copy = Buffer.from(bytes);
      copy[at % copy.length] = byte;
      return copy;
    }),
    fc
      .tuple(fc.constantFrom(0x91, 0x81, 0x92, 0xdd), fc.integer({ min: 1, max: 30_000 }))
      .map(([tag, times]) => Buffer.alloc(times, tag)),
    // Headers that claim what does not follow.
    fc
      .tuple(
        fc.constantFrom(0xdd, 0xdf, 0xdb, 0xc6, 0xc9, 0xdc, 0xde, 0xda, 0xc5),
        fc.uint8Array({ maxLength: 20 }),
      )
      .map(([tag, rest]) => Buffer.concat([of(tag, 0xff, 0xff, 0xff, 0xff), Buffer.from(rest)])),
    fc.integer({ min: 1, max: 600 }).map((times) => Buffer.alloc(times, 0xc0)),
    fc.constantFrom(
      of(0xc1),
      of(0xd4, 0xff, 0x00),
      of(0xc7, 0x0c, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
      of(0x81, 0x01, 0x02),
      of(0x81, 0x90, 0x02),
      of(0x81, 0xc0, 0x02),
      of(0x81, 0xa9, ...Buffer.from('__proto__'), 0x80),
      of(
        0x82,
        0xa4,
        ...Buffer.from('type'),
        0xa4,
        ...Buffer.from('ping'),
        0xa2,
        ...Buffer.from('id'),
        0xa2,
        0xff,
        0xfe,
      ),
      of(
        0x82,
        0xa4,
        ...Buffer.from('type'),
        0xc4,
        0x04,
        ...Buffer.from('ping'),
        0xa2,
        ...Buffer.from('id'),
        0xa1,
        0x61,
      ),
      of(0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0),
    ),
    fc
      .integer({ min: 60_000, max: 300_000 })
      .map((size) => Buffer.from(encode({ type: 'ping', id: 'f1', meta: { pad: 'x'.repeat(size) } }))),
    fc
      .constantFrom<unknown>(
        NaN,
        Infinity,
        new Date(8.64e15),
        new Date(NaN),
        new Uint8Array(100),
        -0,
        2n ** 63n,
      )
      .chain((value) =>
        fc.constantFrom('id', 'ts', 'meta', 'channel', 'payload.position').map((path) => ({ path, value })),
      )
      .map(({ path, value }) =>
        Buffer.from(
          encode(spoil({ type: 'subscribe', id: 'f1', channel: 'rooms.1', payload: {} }, path, value), {
            useBigInt64: true,
          }),
        ),
      ),
  );
})();

export const FRAMES = { json: jsonFrames, msgpack: msgpackFrames };
