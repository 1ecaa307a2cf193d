import { describe, expect, it } from '@jest/globals';
import { jsonCodec } from '../../../lib/protocol/codecs/json.js';
import { msgpackCodec } from '../../../lib/protocol/codecs/msgpack.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { fromWireValue, MAX_VALUE_DEPTH, toWireValue } from '../../../lib/protocol/wire-value.js';

/** What a client of each codec makes of the value. */
function arrivals(value: unknown): unknown[] {
  const payload = toWireValue(value);
  return [jsonCodec, msgpackCodec].map((codec) => {
    const [envelope] = codec.decode(codec.encode({ type: 'event', payload }));
    return (envelope as { payload?: unknown }).payload;
  });
}

function refusalOf(value: unknown): RealtimeError {
  try {
    toWireValue(value);
  } catch (error) {
    if (error instanceof RealtimeError) return error;
    throw error;
  }
  throw new Error('The value was taken');
}

const nested = (levels: number, inner: unknown = 1): unknown => {
  let value = inner;
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { a: value };
  return value;
};

class Account {
  readonly id = 7;
  readonly passwordHash = 's';
  toJSON(): unknown {
    return { id: this.id };
  }
}

class Point {
  constructor(
    readonly x: number,
    readonly y?: number,
  ) {}
  get sum(): number {
    return this.x;
  }
  move = (): void => undefined;
}

class BigDecimal {
  toJSON(key: string): string {
    return `key ${key}`;
  }
}

const AT = new Date(Date.UTC(2026, 0, 1));
const own = Object.defineProperty({ a: 1, [Symbol('s')]: 2 }, 'hidden', { value: 3, enumerable: false });
const sparse = [1, , 3];

describe('a wire value (P29)', () => {
  it.each<[string, unknown]>([
    ['null', null],
    ['a string', 'né 😀\n"'],
    ['an empty string', ''],
    ['a number', 1.5],
    ['NaN', NaN],
    ['infinity', [-Infinity, Infinity]],
    ['-0', [-0]],
    ['a big number', 2 ** 60],
    ['a flag', [true, false]],
    ['undefined members and items', { a: undefined, b: [undefined, 1] }],
    ['functions and symbols as members', { a: () => 1, b: Symbol('b'), c: 1 }],
    ['a date', { at: AT }],
    ['an invalid date', { at: new Date(NaN) }],
    ['toJSON', [new Account(), { account: new Account() }]],
    ['toJSON that is told its key', { price: new BigDecimal(), list: [new BigDecimal()] }],
    ['toJSON that returns itself', { toJSON: (): unknown => ({ toJSON: () => 2, a: 1 }) }],
    [
      'toJSON that returns a list, a number, nothing',
      [{ toJSON: () => [NaN] }, { toJSON: () => 5 }, { toJSON: () => undefined }],
    ],
    ['toJSON that returns a function', { a: { toJSON: () => () => 1 }, b: 1 }],
    ['a function with toJSON', [Object.assign(() => 1, { toJSON: () => 'f' })]],
    ['a list with toJSON', Object.assign([1], { toJSON: () => 'list' })],
    ['an instance of a class', new Point(1)],
    ['an object without a prototype', Object.assign(Object.create(null) as object, { a: 1 })],
    ['inherited members', Object.create({ inherited: 1 }, { a: { value: 1, enumerable: true } })],
    ['symbols and hidden members', own],
    [
      'getters',
      {
        get a() {
          return { b: 1 };
        },
      },
    ],
    ['a sparse list', sparse],
    ['a list with members', Object.assign([1, 2], { extra: 3 })],
    ['boxed primitives', [Object(1), Object('x'), Object(false)]],
    ['a proxy', new Proxy({ a: [1] }, {})],
    ['a proxy of a list', new Proxy([1, 2], {})],
    ['a URL', new URL('https://example.com/')],
    ['the same object twice', ((shared) => ({ a: shared, b: shared }))({ x: 1 })],
    ['names of Object.prototype', { constructor: 1, hasOwnProperty: 2, toString: 3, valueOf: 4, then: 5 }],
  ])('follows the rules of JSON, for every codec alike: %s', (_, value) => {
    const expected = JSON.parse(JSON.stringify(value)) as unknown;
    for (const arrived of arrivals(value)) expect(arrived).toStrictEqual(expected);
  });

  it('keeps no key __proto__, and no half of a surrogate pair', () => {
    const value = JSON.parse('{"__proto__":{"admin":true},"a":"x\\ud800y","\\udc00":1}') as unknown;
    for (const arrived of arrivals(value)) expect(arrived).toStrictEqual({ a: 'x\ufffdy', '\ufffd': 1 });
    for (const arrived of arrivals('\udfff')) expect(arrived).toBe('\ufffd');
    for (const arrived of arrivals('😀')) expect(arrived).toBe('😀');
  });

  it('has no value for undefined', () => {
    expect(toWireValue(undefined)).toBeUndefined();
  });

  it('is a copy: what the application changes later changes nothing', () => {
    const value = { a: { b: [1] }, bytes: Uint8Array.of(1) };
    const wire = toWireValue(value);
    value.a.b.push(2);
    value.bytes[0] = 9;
    expect(JSON.stringify(wire)).toBe('{"a":{"b":[1]},"bytes":{"$bytes":"AQ=="}}');
  });

  it('asks BigInt.prototype.toJSON where the application has one', () => {
    Object.defineProperty(BigInt.prototype, 'toJSON', {
      configurable: true,
      value(this: bigint) {
        return this.toString();
      },
    });
    try {
      expect(toWireValue({ n: 10n, m: [Object(2n)] })).toEqual({ n: '10', m: ['2'] });
    } finally {
      delete (BigInt.prototype as { toJSON?: unknown }).toJSON;
    }
  });

  describe('bytes', () => {
    const view = Uint8Array.of(9, 1, 2, 3, 9).subarray(1, 4);
    it.each<[string, ArrayBufferView | ArrayBufferLike]>([
      ['a Uint8Array', Uint8Array.of(1, 2, 3)],
      ['a Buffer', Buffer.from([1, 2, 3])],
      ['an ArrayBuffer', Uint8Array.of(1, 2, 3).buffer],
      ['a part of a buffer', view],
      ['a DataView', new DataView(view.buffer, 1, 3)],
      [
        'a SharedArrayBuffer',
        ((shared) => (new Uint8Array(shared).set([1, 2, 3]), shared))(new SharedArrayBuffer(3)),
      ],
      ['a list of floats', new Float32Array(Uint8Array.of(1, 2, 3, 0).buffer, 0, 1)],
    ])('stay bytes: %s', (name, value) => {
      const expected = Uint8Array.of(1, 2, 3, ...(name === 'a list of floats' ? [0] : []));
      for (const arrived of arrivals({ a: [value] })) {
        const [bytes] = (arrived as { a: Uint8Array[] }).a;
        expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype);
        expect(bytes).toEqual(expected);
      }
      for (const arrived of arrivals(value)) expect(arrived).toEqual(expected);
    });

    it.each([0, 1, 2, 3, 4, 255, 0x6000 - 1, 0x6000, 0x6000 + 1, 100_000])(
      'stay bytes: %i of them',
      (length) => {
        const bytes = Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8)) % 256);
        for (const arrived of arrivals(bytes)) expect(Buffer.compare(arrived as Uint8Array, bytes)).toBe(0);
        expect(JSON.stringify(toWireValue(bytes))).toBe(
          `{"$bytes":"${Buffer.from(bytes).toString('base64')}"}`,
        );
      },
    );

    it('that toJSON returns stay bytes', () => {
      const file = { toJSON: () => Uint8Array.of(1) };
      for (const arrived of arrivals([file])) expect(arrived).toEqual([Uint8Array.of(1)]);
    });

    it.each<[unknown, string]>([
      [{ $bytes: 'AQ==' }, '{"$$bytes":"AQ=="}'],
      [{ $bytes: Uint8Array.of(1) }, '{"$$bytes":{"$bytes":"AQ=="}}'],
      [{ $$bytes: { $bytes: 'x' } }, '{"$$$bytes":{"$$bytes":"x"}}'],
      [{ $bytes: 'AQ==', a: undefined, b: () => 1 }, '{"$$bytes":"AQ=="}'],
      [{ $bytes: null }, '{"$$bytes":null}'],
      [{ $bytes: 'AQ==', a: 1 }, '{"$bytes":"AQ==","a":1}'],
      [{ bytes: 'AQ==' }, '{"bytes":"AQ=="}'],
      [{ $Bytes: 'AQ==' }, '{"$Bytes":"AQ=="}'],
      [{ a$bytes: 1 }, '{"a$bytes":1}'],
    ])('are not mistaken for an object of the same form: %j', (value, text) => {
      expect(JSON.stringify(toWireValue(value))).toBe(text);
      const plain = Object.fromEntries(
        Object.entries(value as object).filter(
          ([, member]) => member !== undefined && typeof member !== 'function',
        ),
      );
      for (const arrived of arrivals(value)) expect(arrived).toStrictEqual(plain);
      for (const arrived of arrivals([value])) expect(arrived).toStrictEqual([plain]);
    });

    it('are copied for the application, which may change them', () => {
      const wire = toWireValue({ a: Uint8Array.of(1), b: [{ $bytes: 'x' }], c: null });
      const copy = fromWireValue(wire) as { a: Uint8Array };
      expect(copy).toStrictEqual({ a: Uint8Array.of(1), b: [{ $bytes: 'x' }], c: null });
      copy.a[0] = 2;
      expect(JSON.stringify(wire)).toContain('AQ==');
    });
  });

  describe('JSON that a client sends', () => {
    const read = (text: string): unknown => jsonCodec.decode(text)[0];

    it.each<[string, unknown]>([
      ['{"$bytes":"AQID"}', Uint8Array.of(1, 2, 3)],
      ['{"$bytes":""}', Uint8Array.of()],
      ['{"\\u0024bytes":"AQ=="}', Uint8Array.of(1)],
      ['{"$\\u0062y\\u0074\\u0065\\u0073":"AQ=="}', Uint8Array.of(1)],
      ['{"$\\u0062ytes":"AQ=="}', Uint8Array.of(1)],
      ['{"$b\\u0079tes":"AQ=="}', Uint8Array.of(1)],
      ['{"$by\\u0074es":"AQ=="}', Uint8Array.of(1)],
      ['{"$byt\\u0065s":"AQ=="}', Uint8Array.of(1)],
      ['{"$byte\\u0073":"AQ=="}', Uint8Array.of(1)],
      ['{"a":[{"$bytes":"AQ=="},1]}', { a: [Uint8Array.of(1), 1] }],
      ['{"$$bytes":"AQ=="}', { $bytes: 'AQ==' }],
      ['{"$$$bytes":{"$bytes":"AQ=="}}', { $$bytes: Uint8Array.of(1) }],
      ['{"$bytes" : "AQ=="}', Uint8Array.of(1)],
    ])('is read as bytes: %s', (text, value) => {
      expect(read(text)).toStrictEqual(value);
    });

    it.each([
      ['a character that base64 has not', '{"$bytes":"A-__"}'],
      ['no padding', '{"$bytes":"AQ"}'],
      ['too much padding', '{"$bytes":"AAA=="}'],
      ['nothing but padding', '{"$bytes":"===="}'],
      ['white space', '{"$bytes":"AQ ="}'],
      ['a number', '{"$bytes":1}'],
      ['null', '{"$bytes":null}'],
      ['another key beside it', '{"$bytes":"AQ==","a":1}'],
      ['another case', '{"$BYTES":"AQ=="}'],
    ])('keeps what only looks like bytes, for every reader alike: %s', (_, text) => {
      const value: unknown = JSON.parse(text);
      expect(read(text)).toStrictEqual(value);
      for (const arrived of arrivals(read(text))) expect(arrived).toStrictEqual(value);
    });

    it('lends no prototype by a key __proto__ that holds bytes', () => {
      const value = read('{"__proto__":{"$bytes":"AQ=="},"b":{"$bytes":"AQ=="}}') as object;
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
      expect((value as { b: unknown }).b).toEqual(Uint8Array.of(1));
    });
  });

  describe('refuses', () => {
    it.each<[string, unknown, string, RegExp]>([
      [
        'a Map',
        { a: [{ tags: new Map([[1, 2]]) }] },
        'payload.a.0.tags',
        /is of the class Map.*Object\.fromEntries/,
      ],
      ['an empty Map', new Map(), 'payload', /class Map/],
      ['a Set', { a: new Set([1]) }, 'payload.a', /\[\.\.\.set\]/],
      ['a WeakMap', [new WeakMap()], 'payload.0', /WeakMap/],
      ['a Promise', { user: Promise.resolve(1) }, 'payload.user', /Await it/],
      [
        'a thenable',
        {
          user: new (class Query {
            then(): void {}
          })(),
        },
        'payload.user',
        /class Query.*Send plain/,
      ],
      ['a RegExp', { a: /x/ }, 'payload.a', /RegExp/],
      ['an Error', { a: new TypeError('x') }, 'payload.a', /class TypeError/],
      ['search parameters', new URLSearchParams('a=1'), 'payload', /class URLSearchParams/],
      ['an iterator', { a: [1].values() }, 'payload.a', /nothing would arrive/],
      ['a Blob', { a: new Blob(['x']) }, 'payload.a', /arrayBuffer/],
      ['a BigInt', { a: [1n] }, 'payload.a.0', /is a BigInt.*as a string/],
      ['a boxed BigInt', { a: Object(1n) as unknown }, 'payload.a', /BigInt/],
      ['a function', () => 1, 'payload', /is a function/],
      ['a symbol', Symbol('x'), 'payload', /is a symbol/],
      ['a function in a list', [1, () => 1], 'payload.1', /is a function/],
      ['a symbol in a list', { a: [Symbol('x')] }, 'payload.a.0', /is a symbol/],
      ['what toJSON returns', { a: { toJSON: () => ({ b: new Map() }) } }, 'payload.a.b', /class Map/],
      [
        'a date that toJSON returns, which is not asked again',
        { a: { toJSON: () => AT } },
        'payload.a',
        /class Date/,
      ],
      ['a BigInt that toJSON returns', { a: { toJSON: () => 1n } }, 'payload.a', /BigInt/],
    ])('what JSON would empty without a word: %s', (_, value, path, message) => {
      const error = refusalOf(value);
      expect(error.code).toBe('bad_request');
      expect(error.message).toMatch(message);
      expect(error.message.startsWith(`${path} `)).toBe(true);
      expect(error.details?.map((detail) => detail.path)).toEqual([path]);
    });

    it('what contains itself, by the path of the reference', () => {
      const room: Record<string, unknown> = { members: [{ id: 1 }] };
      (room['members'] as Record<string, unknown>[])[0]!['room'] = room;
      expect(refusalOf({ room }).message).toMatch(
        /^payload\.room\.members\.0\.room is an object that contains it/,
      );
      const self: unknown[] = [];
      self.push(self);
      expect(refusalOf(self).message).toMatch(/^payload\.0 is an object that contains it/);
    });

    it('one level more than the deepest nesting', () => {
      expect(arrivals(nested(MAX_VALUE_DEPTH))).toStrictEqual([
        nested(MAX_VALUE_DEPTH),
        nested(MAX_VALUE_DEPTH),
      ]);
      expect(refusalOf(nested(MAX_VALUE_DEPTH + 1)).message).toMatch(/^payload nests more than 256/);
    });

    it('what cannot be read, with the reason', () => {
      const value = {
        get a(): never {
          throw new Error('no session');
        },
      };
      expect(refusalOf(value).message).toBe('payload cannot be read: no session. Send plain values.');
      expect(
        refusalOf({
          toJSON: () => {
            throw 'text' as unknown as Error;
          },
        }).message,
      ).toMatch(/^payload cannot be read/);
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      expect(refusalOf({ proxy }).code).toBe('bad_request');
    });

    it('nothing that has members of its own, e.g. a list class of the application', () => {
      class Page {
        items = [1];
        *[Symbol.iterator](): Iterator<number> {
          yield 1;
        }
      }
      class Empty {}
      expect(toWireValue([new Page(), new Empty()])).toEqual([{ items: [1] }, {}]);
    });
  });

  it('may convert another value on the way, in a getter', () => {
    const value = {
      a: {
        get b(): unknown {
          return toWireValue({ x: { y: [1] } }, 'other');
        },
      },
      c: [new Map()],
    };
    expect(refusalOf(value).message).toMatch(/^payload\.c\.0 is of the class Map/);
  });
});
