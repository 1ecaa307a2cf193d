import { describe, expect, it } from '@jest/globals';
import fc from '../../../support/property.js';
import { contentOf, jsonOf } from '../../../../lib/core/log/event-content.js';
import { isPlainValue, NOT_PLAIN, plainCopy } from '../../../../lib/core/log/plain-value.js';
import { jsonCodec } from '../../../../lib/protocol/codecs/json.js';
import { msgpackCodec } from '../../../../lib/protocol/codecs/msgpack.js';
import { toWireValue } from '../../../../lib/protocol/wire-value.js';

const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });
const round: { self?: unknown } = {};
round.self = round;

describe('a plain value', () => {
  it.each<[string, unknown]>([
    ['a text', 'né 😀'],
    ['an empty text', ''],
    ['a number', 1.5],
    ['0', 0],
    ['a flag', false],
    ['null', null],
    ['an empty object', {}],
    ['an empty list', []],
    ['nested objects and lists', { a: [{ b: [1, null, 'x'] }, true], c: {} }],
    ['an object that only begins like bytes', { $bytes: 'AQ==', other: 1 }],
    ['a member toJSON in a list of names', ['toJSON', '__proto__', '$bytes']],
  ])('is %s', (_, value) => {
    expect(isPlainValue(value)).toBe(true);
    expect(toWireValue(value)).toEqual(value);
    expect(plainCopy(value)).toStrictEqual(value);
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['NaN', [NaN]],
    ['infinity', { a: -Infinity }],
    ['-0', [-0]],
    ['a member that is undefined', { a: undefined }],
    ['a hole in a list', [1, , 2]],
    ['half a surrogate pair', { a: 'x\ud800' }],
    ['half a surrogate pair in a name', { 'x\udc00': 1 }],
    ['a member __proto__', JSON.parse('{"a":{"__proto__":1}}')],
    ['what looks like the tag of bytes', { a: { $bytes: 'AQ==' } }],
    ['what looks like its escaped form', { $$bytes: 1 }],
    ['bytes', { a: Uint8Array.of(1) }],
    ['an array buffer', new ArrayBuffer(1)],
    ['a date', { at: new Date(0) }],
    ['a map', { a: new Map() }],
    ['a list of a class', Object.setPrototypeOf([1], class extends Array {}.prototype)],
    [
      'an object of a class',
      new (class Point {
        readonly x = 1;
      })(),
    ],
    ['an object without a prototype', Object.create(null)],
    ['an object that lends its members', Object.create({ a: 1 })],
    ['an object with the prototype of lists', Object.create(Array.prototype)],
    ['an object with toJSON', { a: 1, toJSON: () => 2 }],
    ['a list with toJSON', Object.assign([1], { toJSON: () => 2 })],
    ['a function', { a: () => 1 }],
    ['a symbol', [Symbol('x')]],
    ['a BigInt', [1n]],
    ['a deep one', nested(33)],
    ['one that contains itself', round],
    [
      'one that cannot be read',
      {
        get a() {
          throw new Error('no');
        },
      },
    ],
  ])('is not %s', (_, value) => {
    expect(isPlainValue(value)).toBe(false);
    expect(plainCopy(value)).toBe(NOT_PLAIN);
  });

  it('is copied with all that it holds, so that what is changed later changes nothing (P29)', () => {
    const inner = { b: [1] };
    const value = { list: [inner, [2]], inner };
    const copy = plainCopy(value);
    inner.b.push(3);
    value.list.push([4]);
    expect(copy).toEqual({ list: [{ b: [1] }, [2]], inner: { b: [1] } });
    expect(contentOf(value)).toEqual({ value, json: '{"list":[{"b":[1,3]},[2],[4]],"inner":{"b":[1,3]}}' });
  });

  it('is none while every object has a member more', () => {
    Object.defineProperty(Object.prototype, 'lent', { value: 1, enumerable: true, configurable: true });
    try {
      expect(isPlainValue({ a: 1 })).toBe(false);
      expect(plainCopy({ a: 1 })).toBe(NOT_PLAIN);
    } finally {
      delete (Object.prototype as { lent?: unknown }).lent;
    }
  });

  it('arrives by every codec as its wire value does, and has the same JSON (P29)', () => {
    const arbitrary = fc.anything({ withDate: true, withBigInt: false, withMap: false, withSet: false });
    fc.assert(
      fc.property(arbitrary, (value) => {
        expect(plainCopy(value) !== NOT_PLAIN).toBe(isPlainValue(value));
        if (!isPlainValue(value)) return;
        expect(plainCopy(value)).toStrictEqual(toWireValue(value));
        const wire = toWireValue(value);
        for (const codec of [jsonCodec, msgpackCodec])
          expect(codec.encode({ type: 'reply', payload: value })).toEqual(
            codec.encode({ type: 'reply', payload: wire }),
          );
        expect(jsonOf(value)).toBe(contentOf(value).json);
      }),
    );
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['bytes', { a: Uint8Array.of(1) }],
    ['what looks like bytes', { $bytes: 'AQ==' }],
    ['half a surrogate pair', 'x\ud800'],
    ['-0', [-0, NaN]],
    ['a member __proto__', JSON.parse('{"a":1,"__proto__":1}')],
  ])('has the JSON of its wire value where it is none: %s', (_, value) => {
    expect(jsonOf(value)).toBe(contentOf(value).json);
  });
});
