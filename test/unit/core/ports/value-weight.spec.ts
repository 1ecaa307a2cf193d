import { describe, expect, it } from '@jest/globals';
import { structureOf, structureOfJson, weightOf } from '../../../../lib/core/ports/value-weight.js';

describe('what a value weighs in memory', () => {
  it('a value without parts has no structure', () => {
    for (const value of [undefined, null, 1, 'text', true]) expect(structureOf(value)).toBe(0);
    expect([weightOf(undefined), weightOf(null), weightOf(1), weightOf(true)]).toEqual([0, 0, 0, 0]);
    expect(weightOf('text')).toBe(24 + 2 * 4);
  });

  it('each list, object, name and binary value weighs', () => {
    expect(structureOf([])).toBe(32);
    expect(structureOf([1, 2])).toBe(32 + 16 + 2 * 16);
    expect(structureOf({})).toBe(64);
    expect(structureOf({ a: 1, b: [] })).toBe(64 + 96 + 2 * 48 + 32);
    expect(structureOf(new Uint8Array(1_000))).toBe(112);
    expect(structureOf([[], [{}]])).toBe(32 + 16 + 2 * 16 + 32 + 32 + 16 + 16 + 64);
    expect(structureOf(['ada', { name: 'bob' }])).toBe(32 + 16 + 2 * 16 + 16 + 64 + 96 + 48 + 16);
  });

  it('with its texts, each name and each byte weighs too', () => {
    expect(weightOf({ name: 'ada' })).toBe(64 + 96 + 48 + 4 + 24 + 2 * 3);
    expect(weightOf([new Uint8Array(1_000)])).toBe(32 + 16 + 16 + 112 + 1_000);
  });

  it('a value of any depth, and one that holds itself, is weighed to an end', () => {
    let deep: unknown = 1;
    for (let depth = 0; depth < 100_000; depth++) deep = [deep];
    expect(structureOf(deep)).toBe(100_000 * 64);
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    expect(structureOf(loop)).toBe(16 * 1024 * 1024);
  });

  it('the bound by the size of the JSON is above what any JSON weighs', () => {
    const deep = (depth: number): unknown => (depth === 0 ? {} : { '': deep(depth - 1) });
    for (const value of [
      Array.from({ length: 100 }, () => deep(60)),
      Array.from({ length: 1_000 }, () => []),
    ]) {
      const bytes = JSON.stringify(value).length;
      expect(structureOfJson(value, bytes)).toBe(structureOf(value));
    }
  });

  it('objects with the names of the one before them share its table: each weighs what it holds', () => {
    const one = 64 + 96 + 2 * 48;
    const alike = 56 + 2 * 8;
    const list = (count: number): number => 32 + 16 + count * 16;
    expect(structureOf([{ a: 1, b: 2 }])).toBe(list(1) + one);
    expect(
      structureOf([
        { a: 1, b: 2 },
        { a: 3, b: 4 },
        { a: 5, b: 6 },
      ]),
    ).toBe(list(3) + one + 2 * alike);
    // Two kinds in turn, e.g. a record and what it holds.
    expect(
      structureOf([
        { name: { x: 1, y: 2 }, at: 1 },
        { name: { x: 3, y: 4 }, at: 2 },
      ]),
    ).toBe(list(2) + 2 * one + 2 * alike);
    expect(weightOf([{ a: 1 }, { a: 2 }])).toBe(list(2) + (64 + 96 + 48 + 1) + (56 + 8 + 1));
  });

  it('another order, another number of names, another name, long or many names, and numbers for names are not alike', () => {
    const many = (count: number): Record<string, number> =>
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`n${String.fromCharCode(97 + at)}`, at]));
    const long = (length: number): Record<string, number> => ({ ['n'.repeat(length)]: 1 });
    for (const [one, other] of [
      [
        { aa: 1, bb: 2 },
        { bb: 1, aa: 2 },
      ],
      [{ aa: 1 }, { aa: 1, bb: 2 }],
      [{ aa: 1, bb: 2 }, { aa: 1 }],
      [
        { aa: 1, bb: 2, cc: 3 },
        { aa: 1, bx: 2, cc: 3 },
      ],
      [
        { aa: 1, bb: 2, cc: 3 },
        { aa: 1, bb: 2, cx: 3 },
      ],
      [long(65), long(65)],
      [many(33), many(33)],
      [{ 7: 1 }, { 7: 1 }],
    ] as const) {
      const apart = structureOf([one]) + structureOf(other);
      expect([one, structureOf([one, other]) - 16]).toEqual([one, apart]);
    }
    const twice = (value: object): number => structureOf([value, value]) - structureOf([value]) - 16;
    expect(twice(long(64))).toBe(56 + 8);
    expect(twice(many(32))).toBe(56 + 32 * 8);
  });

  it('what a value weighs does not depend on those that were weighed before it', () => {
    const first = structureOf({ a: 1, b: 2 });
    expect(structureOf({ a: 1, b: 2 })).toBe(first);
    expect(weightOf({ a: 1, b: 2 })).toBe(first + 2);
    structureOf([{ a: 1, b: 2 }, { a: 1 }]);
    expect(structureOf([{ a: 1 }, { a: 1, b: 2 }])).toBe(structureOf([{ a: 1 }]) + 16 + first);
  });

  it('a fraction and a large number are objects of their own', () => {
    expect(structureOf({ a: 1.5 })).toBe(64 + 96 + 48 + 16);
    expect(structureOf({ a: 2 ** 31, b: -(2 ** 31) })).toBe(64 + 96 + 2 * 48 + 16);
    expect(weightOf({ a: 1.5 })).toBe(64 + 96 + 48 + 1 + 16);
    expect([weightOf(1.5), weightOf(2)]).toEqual([16, 0]);
  });

  it('small JSON is weighed like any other', () => {
    expect(structureOfJson([[]], 4)).toBe(32 + 16 + 16 + 32);
    expect(structureOfJson({ a1b2c3: 1 }, 12)).toBe(64 + 96 + 48);
    expect(structureOfJson('text', 6)).toBe(0);
  });
});
