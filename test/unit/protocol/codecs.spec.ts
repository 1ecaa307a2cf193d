import { describe, expect, it } from '@jest/globals';
import { decodeMulti, encode } from '@msgpack/msgpack';
import { FrameError, type Codec, type Encoded } from '../../../lib/protocol/codecs/codec.js';
import { jsonCodec } from '../../../lib/protocol/codecs/json.js';
import { msgpackCodec } from '../../../lib/protocol/codecs/msgpack.js';
import { endOfValue } from '../../../lib/protocol/codecs/msgpack-scanner.js';
import { MAX_DEPTH, type Envelope } from '../../../lib/protocol/envelope.js';
import type { FrameLimits } from '../../../lib/protocol/envelope.js';
import fc from '../../support/property.js';

const limits: FrameLimits = { maxFrameBytes: 64 * 1024, maxMessageBytes: 1_000, maxEnvelopesPerFrame: 4 };

function join(codec: Codec, parts: readonly Encoded[]): Encoded {
  if (!codec.binary) return parts.join('\n');
  return Buffer.concat(parts.map((part) => part as Uint8Array));
}

function closeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof FrameError) return error.close;
    throw error;
  }
  return 'accepted';
}

const nested = (depth: number): unknown => {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
};

describe.each([
  ['json', jsonCodec],
  ['msgpack', msgpackCodec],
])('%s codec', (_, codec) => {
  const envelope = (id: string, payload?: unknown): Envelope => ({ type: 'ping', id, payload });

  it('returns the envelopes of a frame in order (P4)', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue({ maxDepth: 4 }), { maxLength: 4 }), (payloads) => {
        const envelopes = payloads.map((payload, index) => envelope(`m${index}`, payload));
        const decoded = codec.decode(
          join(
            codec,
            envelopes.map((entry) => codec.encode(entry)),
          ),
        );
        expect(JSON.stringify(decoded)).toBe(JSON.stringify(envelopes));
      }),
    );
  });

  it('accepts the maximal number of envelopes, and refuses one more (P4)', () => {
    const frame = (count: number): Encoded =>
      join(
        codec,
        Array.from({ length: count }, (__, index) => codec.encode(envelope(`m${index}`))),
      );
    expect(codec.decode(frame(4), limits)).toHaveLength(4);
    expect(closeOf(() => codec.decode(frame(5), limits))).toBe('protocol_error');
  });

  it('refuses a message above the limit in a frame within its limit (G24)', () => {
    const frame = (size: number): Encoded => codec.encode(envelope('m', 'x'.repeat(size)));
    expect(codec.decode(frame(900), limits)).toHaveLength(1);
    expect(closeOf(() => codec.decode(frame(1_000), limits))).toBe('message_too_large');
  });

  it('takes nesting up to the bound, the envelope included, and not one more (G24)', () => {
    const deep = (depth: number): Encoded => codec.encode(envelope('m', nested(depth - 1)));
    const roomy = { ...limits, maxMessageBytes: 1_000_000 };
    expect(codec.decode(deep(MAX_DEPTH), roomy)).toHaveLength(1);
    expect(closeOf(() => codec.decode(deep(MAX_DEPTH + 1), roomy))).toBe('protocol_error');
  });

  it('refuses nesting that would exhaust the stack (G24)', () => {
    const roomy = { ...limits, maxMessageBytes: 64 * 1024 };
    expect(codec.decode(codec.encode(envelope('m', nested(100))), roomy)).toHaveLength(1);
    const deep = codec.binary
      ? Buffer.concat([Buffer.alloc(50_000, 0x91), Buffer.from([0xc0])])
      : '['.repeat(50_000) + ']'.repeat(50_000);
    expect(closeOf(() => codec.decode(deep, { ...roomy, maxMessageBytes: 200_000 }))).toBe('protocol_error');
  });

  it('refuses a frame of the kind of the other codec (P6)', () => {
    expect(closeOf(() => codec.decode(codec.binary ? '{}' : Buffer.from('{}')))).toBe('protocol_error');
  });

  it('omits undefined fields', () => {
    expect(Object.keys(codec.decode(codec.encode(envelope('m')))[0] as object)).toEqual(['type', 'id']);
  });
});

describe('the JSON codec', () => {
  it('ignores empty lines (P4)', () => {
    expect(jsonCodec.decode('\n\n{"a":1}\n\n\n{"b":2}\n', limits)).toEqual([{ a: 1 }, { b: 2 }]);
    expect(jsonCodec.decode('\n'.repeat(10_000), limits)).toEqual([]);
  });

  it.each([
    ['a frame of one blank', ' '],
    ['a bare carriage return', '\r'],
    ['a frame of blanks and tabs', ' \t \r'],
    ['lines of blanks', ' \n\t\n\r\n'],
  ])('ignores a line of white space: %s (P4)', (__, frame) => {
    expect(jsonCodec.decode(frame, limits)).toEqual([]);
  });

  it('accepts lines that end with CRLF, and white space around them (P4)', () => {
    expect(jsonCodec.decode('{"a":1}\r\n\r\n \t{"b":2} \r\n   ', limits)).toEqual([{ a: 1 }, { b: 2 }]);
    expect(jsonCodec.decode(' {"a":1}\r', limits)).toEqual([{ a: 1 }]);
  });

  it('counts lines of white space neither as envelopes nor as message bytes (P4)', () => {
    expect(jsonCodec.decode(' \r\n'.repeat(1_000) + '{"a":1}', limits)).toEqual([{ a: 1 }]);
    expect(jsonCodec.decode(' '.repeat(limits.maxMessageBytes + 1), limits)).toEqual([]);
  });

  it.each(['\u00a0', '\ufeff', '\v', '\f', '\u2028'])(
    'refuses white space that JSON does not allow: %j (P6c)',
    (frame) => {
      expect(closeOf(() => jsonCodec.decode(frame, limits))).toBe('protocol_error');
      expect(closeOf(() => jsonCodec.decode(`{"a":1}\n${frame}`, limits))).toBe('protocol_error');
    },
  );

  it('does not count brackets in strings as nesting', () => {
    expect(jsonCodec.decode(JSON.stringify({ text: '[{'.repeat(300) + '\\"' }), limits)).toHaveLength(1);
  });
});

describe('the MessagePack codec', () => {
  it('finds the end of every value that the encoder makes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.anything({ withNullPrototype: false }).filter(isEncodable), {
          minLength: 1,
          maxLength: 5,
        }),
        (values) => {
          const bytes = Buffer.concat(values.map((value) => encode(value)));
          let offset = 0;
          for (let index = 0; index < values.length; index++) offset = endOfValue(bytes, offset);
          expect(offset).toBe(bytes.length);
        },
      ),
    );
  });

  it('rejects a header that claims four billion elements without allocating them (G24)', () => {
    for (const lie of [
      [0xdd, 255, 255, 255, 255],
      [0xdf, 255, 255, 255, 255],
      [0xc6, 255, 255, 255, 255],
      [0xdb, 255, 255, 255, 255],
    ]) {
      expect(closeOf(() => msgpackCodec.decode(Uint8Array.from(lie), limits))).toBe('protocol_error');
    }
  });

  it.each<[string, string, unknown]>([
    ['a __proto__ key behind another key as long', '{"nine long":1,"__proto__":{"a":1}}', { 'nine long': 1 }],
    [
      'half a surrogate pair behind a letter with the same first byte',
      '["\ud55c","\\ud800"]',
      ['\ud55c', '\ufffd'],
    ],
  ])('writes what every decoder reads: %s', (_, stored, read) => {
    const payload: unknown = JSON.parse(stored);
    expect(msgpackCodec.decode(msgpackCodec.encode({ type: 'event', payload }))).toEqual([
      { type: 'event', payload: read },
    ]);
  });

  it('refuses a __proto__ key', () => {
    const frame = Uint8Array.from([0x81, 0xa9, ...Buffer.from('__proto__'), 0x80]);
    expect(closeOf(() => msgpackCodec.decode(frame, limits))).toBe('protocol_error');
  });

  it('gives binary data its own memory: what is kept of a message keeps nothing else of it', () => {
    const bytes = (value: unknown) => value as Uint8Array;
    const envelope = { type: 'ping', root: Uint8Array.of(1), deep: [{ list: [[Uint8Array.of(2, 3)]] }] };
    const chunk = Buffer.concat([Buffer.alloc(50_000), msgpackCodec.encode(envelope) as Uint8Array]);
    const [value] = msgpackCodec.decode(chunk.subarray(50_000)) as [
      { root: unknown; deep: [{ list: [[unknown]] }] },
    ];
    expect(value).toEqual(envelope);
    expect(bytes(value.root).buffer.byteLength).toBe(1);
    expect(bytes(value.deep[0].list[0][0]).buffer.byteLength).toBe(2);
    for (const length of [300, 70_000]) {
      const frame = msgpackCodec.encode({ long: new Uint8Array(length) } as never) as Uint8Array;
      const [long] = msgpackCodec.decode(frame) as [{ long: Uint8Array }];
      expect(long.long.buffer.byteLength).toBe(length);
    }
    const [alone] = msgpackCodec.decode(Uint8Array.of(0, 0xc4, 1, 7).subarray(1)) as [Uint8Array];
    expect([...alone, alone.buffer.byteLength]).toEqual([7, 1]);
  });

  it('decodes any bytes to at most as many values, or throws a FrameError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const outcome = closeOf(() => {
          const values = msgpackCodec.decode(bytes, { ...limits, maxEnvelopesPerFrame: 1_000 });
          expect(values.length).toBeLessThanOrEqual(bytes.length);
          expect(values.length).toBe([...decodeMulti(bytes)].length);
        });
        expect(['accepted', 'protocol_error', 'message_too_large']).toContain(outcome);
      }),
      { numRuns: 2_000 },
    );
  });
});

function isEncodable(value: unknown): boolean {
  try {
    encode(value);
    return true;
  } catch {
    return false;
  }
}
