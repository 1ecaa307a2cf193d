import { describe, expect, it } from '@jest/globals';
import { sameData } from '../../../../lib/brokers/machine/room.js';

const nested = (depth: number): unknown => {
  let value: unknown = 'core';
  for (let level = 0; level < depth; level += 1) value = [value];
  return value;
};

describe('sameData', () => {
  it.each([
    [1, 1],
    ['a', 'a'],
    [null, null],
    [undefined, undefined],
    [{}, {}],
    [[], []],
    [
      { a: 1, b: [true, { c: null }] },
      { b: [true, { c: null }], a: 1 },
    ],
    [Uint8Array.of(1, 2), Uint8Array.of(1, 2)],
    [Object.assign(Object.create(null) as object, { a: 1 }), { a: 1 }],
  ])('%j equals %j', (left, right) => expect(sameData(left, right)).toBe(true));

  it.each([
    [1, '1'],
    [null, undefined],
    [null, {}],
    [[], {}],
    [{ a: 1 }, { a: 2 }],
    [{ a: 1 }, { b: 1 }],
    [{ a: 1 }, { a: 1, b: 2 }],
    [
      [1, 2],
      [2, 1],
    ],
    [{ a: undefined }, { toString: undefined }],
    [Uint8Array.of(1, 2), Uint8Array.of(1, 3)],
  ])('%j differs from %j', (left, right) => expect(sameData(left, right)).toBe(false));

  it('does not overflow the stack on hostile nesting', () => {
    expect(sameData(nested(50), nested(50))).toBe(true);
    expect(sameData(nested(100_000), nested(100_000))).toBe(false);
  });
});
