import { describe, expect, it } from '@jest/globals';
import { plainCopy } from '../../lib/core/log/plain-value.js';
import { fromWireValue, toWireValue } from '../../lib/protocol/wire-value.js';
import { probe } from './probe.js';

/** What was measured exceeds what is counted by so much at most: a collection leaves something behind. */
const FACTOR = 1.2;

interface Weight {
  readonly heap: number;
  readonly counted: number;
}

const { messages, copies } = probe<Readonly<Record<'messages' | 'copies', Readonly<Record<string, Weight>>>>>(
  'weights',
  {},
  ['--expose-gc'],
);

describe('what is counted for a message, beside what its values take of the heap', () => {
  it('was measured of every shape, by both codecs', () => {
    expect(Object.keys(messages)).toHaveLength(36);
  });

  it.each(Object.entries(messages))('is enough: %s', (_, { heap, counted }) => {
    expect(heap).toBeGreaterThan(0);
    expect(heap).toBeLessThan(FACTOR * counted);
  });
});

describe('a copy of a value, beside what is counted for it', () => {
  it.each(Object.entries({ plainCopy, toWireValue, fromWireValue }))(
    'is not larger, whatever numbers its names are: %s',
    (name, copy) => {
      const value = Array.from({ length: 2_000 }, () => ({ 320: 1, 900: 2 }));
      expect(copy(value)).toEqual(value);
      const { heap, counted } = copies[name] as Weight;
      expect(heap).toBeGreaterThan(0);
      expect(heap).toBeLessThan(FACTOR * counted);
    },
  );
});
