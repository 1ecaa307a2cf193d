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

  it('of small JSON nothing is looked through: it weighs eight times its bytes', () => {
    expect(structureOfJson([[]], 4)).toBe(32);
    expect(structureOfJson([[]], 256)).toBe(8 * 256);
    expect(structureOfJson([[]], 257)).toBe(32 + 16 + 16 + 32);
    expect(structureOfJson('text', 6)).toBe(0);
  });
});
