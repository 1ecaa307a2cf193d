import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { jsonCodec } from '../../../../lib/protocol/codecs/json.js';
import { msgpackCodec } from '../../../../lib/protocol/codecs/msgpack.js';
import type { Codec } from '../../../../lib/protocol/codecs/codec.js';
import { structureOf } from '../../../../lib/core/ports/value-weight.js';

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

const shapes: Readonly<Record<string, () => unknown>> = {
  'maps of one unusual name': () => ({ [unusual()]: 1 }),
  'maps of three unusual names': () => ({ [unusual()]: 1, [unusual()]: 1, [unusual()]: 1 }),
  'maps in maps of unusual names': () => ({ [unusual()]: { [unusual()]: { [unusual()]: 1 } } }),
  'maps of an unusual name and a text': () => ({ [unusual()]: unusual() }),
  'maps of one usual name': () => ({ name: 1 }),
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
