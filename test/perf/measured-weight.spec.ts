import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { jsonCodec } from '../../lib/protocol/codecs/json.js';
import { msgpackCodec } from '../../lib/protocol/codecs/msgpack.js';
import type { Codec } from '../../lib/protocol/codecs/codec.js';
import { fromWireValue, toWireValue } from '../../lib/protocol/wire-value.js';
import { plainCopy } from '../../lib/core/log/plain-value.js';
import { structureOf } from '../../lib/core/ports/value-weight.js';

const ITEMS = 10_000;
/** Items of one message. */
const PER_MESSAGE = 2_000;
/** What was measured exceeds what is counted by so much at most: a collection leaves something behind. */
const FACTOR = 1.2;
/** The least of so many counts: what else the process keeps meanwhile, such as compiled code, only adds to it. */
const ROUNDS = 3;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

let made = 0;
/** A name of six letters that no other call returns. */
function unusual(): string {
  // Multiplied, so that neighbours have nothing in common.
  return ((made++ * 48_271 + 60_466_176) % 2_176_782_336).toString(36).padStart(6, '0');
}

/** An object of so many usual names, in another order each time. */
function shuffled(count: number): Record<string, number> {
  const names = Array.from({ length: count }, (_, at) => `name${String.fromCharCode(97 + at)}`);
  const order = names.map((name) => [(made++ * 48_271) % 65_537, name] as const);
  order.sort(([one], [other]) => one - other);
  return Object.fromEntries(order.map(([, name]) => [name, 1]));
}

const shapes: Readonly<Record<string, () => unknown>> = {
  'maps of one unusual name': () => ({ [unusual()]: 1 }),
  'maps of three unusual names': () => ({ [unusual()]: 1, [unusual()]: 1, [unusual()]: 1 }),
  'maps in maps of unusual names': () => ({ [unusual()]: { [unusual()]: { [unusual()]: 1 } } }),
  'maps of an unusual name and a text': () => ({ [unusual()]: unusual() }),
  'maps of one usual name': () => ({ name: 1 }),
  'maps of usual names, numbers and a text': () => ({ title: unusual(), x: 1.5 + made++, y: 3, on: true }),
  'maps of eight usual names': () => ({ aa: 1, bb: 2, cc: 3, dd: 4, ee: 5, ff: 6, gg: 7, hh: 8 }),
  'maps in maps of usual names': () => ({ name: { first: 1, last: 2 }, at: { x: 1, y: { z: 1 } } }),
  'maps of six names in any order': () => shuffled(6),
  'maps of twenty names in any order': () => shuffled(20),
  'maps of a small number for a name': () => ({ 7: 1 }),
  'maps of a number for a name': () => ({ 1000: 1 }),
  'maps of several numbers for names': () => ({ 320: 1, 480: 2, 900: 3 }),
  'maps of an unusual number for a name': () => ({ [(made++ * 7_919) % 4_000_000_000]: 1 }),
  'empty maps': () => ({}),
  'empty lists': () => [],
  'lists of one number': () => [1.5 + made++],
  'short texts': () => unusual(),
};

function heapOf(make: () => unknown): number {
  for (let round = 0; round < 2; round++) collect();
  const before = process.memoryUsage().heapUsed;
  const held = make();
  for (let round = 0; round < 2; round++) collect();
  const after = process.memoryUsage().heapUsed;
  return held === undefined ? 0 : after - before;
}

describe('what is counted for a message, beside what its values take of the heap', () => {
  for (const codec of [jsonCodec, msgpackCodec] as Codec[]) {
    it.each(Object.entries(shapes))(`is enough: %s (${codec.name})`, (_, shape) => {
      const messages = Array.from({ length: ITEMS / PER_MESSAGE }, () =>
        codec.encode({ type: 'publish', payload: Array.from({ length: PER_MESSAGE }, shape) }),
      );
      const decode = (): unknown[][] => messages.map((message) => codec.decode(message));
      let counted = 0;
      for (const message of messages) counted += message.length;
      for (const value of decode().flat()) counted += structureOf(value);
      let heap = Number.POSITIVE_INFINITY;
      for (let round = 0; round < ROUNDS && heap >= FACTOR * counted; round++)
        heap = Math.min(heap, heapOf(decode));
      expect(heap).toBeLessThan(FACTOR * counted);
    });
  }
});

describe('a copy of a value, beside what is counted for it', () => {
  const copies: Readonly<Record<string, (value: unknown) => unknown>> = {
    plainCopy,
    toWireValue,
    fromWireValue,
  };
  it.each(Object.entries(copies))('is not larger, whatever numbers its names are: %s', (_, copy) => {
    const text = JSON.stringify(Array.from({ length: PER_MESSAGE }, () => ({ 320: 1, 900: 2 })));
    const value: unknown = JSON.parse(text);
    let heap = Number.POSITIVE_INFINITY;
    const counted = structureOf(value) + text.length;
    for (let round = 0; round < ROUNDS && heap >= FACTOR * counted; round++)
      heap = Math.min(
        heap,
        heapOf(() => copy(value)),
      );
    expect(copy(value)).toEqual(value);
    expect(heap).toBeLessThan(FACTOR * counted);
  });
});
