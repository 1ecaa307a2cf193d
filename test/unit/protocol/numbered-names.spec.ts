import { describe, expect, it } from '@jest/globals';
import { isNumbered, recordFor } from '../../../lib/protocol/numbered-names.js';
import { msgpackCodec } from '../../../lib/protocol/codecs/msgpack.js';
import { fromWireValue, toWireValue } from '../../../lib/protocol/wire-value.js';
import { plainCopy } from '../../../lib/core/log/plain-value.js';

describe('names that are numbers', () => {
  it('are those of the elements of a list, as a list writes them', () => {
    for (const name of ['0', '7', '10', '1000', '4294967294'])
      expect([name, isNumbered(name)]).toEqual([name, true]);
    for (const name of [
      '',
      'a',
      '-1',
      '00',
      '01',
      '1a',
      '1.5',
      '1e3',
      ' 1',
      '4294967295',
      '9999999999',
      '12345678901',
    ])
      expect([name, isNumbered(name)]).toEqual([name, false]);
  });

  it('the object that is made for them has them and no others', () => {
    expect(recordFor([])).toEqual({});
    expect(recordFor(['a', 'b'])).toEqual({});
    expect(recordFor(['7'])).toEqual({ 7: 0 });
    expect(recordFor(['7', '1000', 'a'])).toEqual({ 7: 0, 1000: 0 });
  });

  it('copies have every member once, in the order of the source', () => {
    const source: unknown = JSON.parse('{"b":{"9":[{"1000":null}],"01":4},"a":1,"7":2,"1000":{"x":3}}');
    for (const copy of [plainCopy, toWireValue, fromWireValue]) {
      expect(JSON.stringify(copy(source))).toBe(JSON.stringify(source));
      expect(copy({ 5: 1, x: 2 })).not.toBe(source);
    }
    expect(toWireValue({ 5: undefined, 7: 1, 9: () => 1, x: undefined })).toEqual({ 7: 1 });
    expect(Object.keys(toWireValue({ 5: undefined, 7: 1 }) as object)).toEqual(['7']);
  });

  it('a copy for the application leaves the prototype of objects alone', () => {
    const copy = fromWireValue(JSON.parse('{"__proto__":{"isAdmin":true},"a":1}')) as Record<string, unknown>;
    expect([copy['isAdmin'], Object.getPrototypeOf(copy), copy['a']]).toEqual([
      undefined,
      Object.prototype,
      1,
    ]);
  });
});

describe('names that are numbers, in MessagePack', () => {
  const roundTrip = (value: object): unknown => msgpackCodec.decode(msgpackCodec.encode(value as never))[0];

  it('come as they were sent, at any depth, beside others and beside bytes', () => {
    for (const value of [
      { 7: 1 },
      { 1000: { 1000: [{ 5: 'a' }, 'b', null] }, x: 1 },
      { x: { y: { 3: 1, z: 2 } } },
      [{ 1: 1 }, { a: 1 }],
      { 4294967294: 1, 4294967295: 2 },
    ])
      expect(JSON.stringify(roundTrip(value))).toBe(JSON.stringify(value));
    expect(roundTrip({ 9: new Uint8Array([1, 2]), a: new Uint8Array([3]) })).toEqual({
      9: new Uint8Array([1, 2]),
      a: new Uint8Array([3]),
    });
  });

  it('names that begin with a zero character are not taken for what stands in between', () => {
    for (const value of [
      { '\u0000': 1 },
      { '\u00007': 1 },
      { '\u0000a': 1, 7: 2 },
      { '\u0000\u00007': 1, 7: 2 },
    ])
      expect(roundTrip(value)).toEqual(value);
  });

  it('a key that is a number is its text; any other key that is no string is refused', () => {
    const map = (...bytes: number[]): Uint8Array => Uint8Array.from([0x81, ...bytes, 0x01]);
    expect(msgpackCodec.decode(map(0xcd, 0x03, 0xe8))).toEqual([{ 1000: 1 }]);
    expect(msgpackCodec.decode(map(0xff))).toEqual([{ '-1': 1 }]);
    for (const key of [0xc0, 0xc3, 0x90])
      expect(() => msgpackCodec.decode(map(key))).toThrow('not MessagePack');
    // A value after one with such names is decoded as usual.
    expect(msgpackCodec.decode(Uint8Array.from([...map(0x07), ...map(0xa1, 0x61)]))).toEqual([
      { 7: 1 },
      { a: 1 },
    ]);
  });

  it('of two keys of the same name the last counts', () => {
    expect(msgpackCodec.decode(Uint8Array.from([0x82, 0x07, 0x01, 0xa1, 0x37, 0x02]))).toEqual([{ 7: 2 }]);
  });
});
