// What values of messages take of the heap, beside what is counted for them. Prints JSON: by codec and shape, and by copy, the
// middle one of some measurements, and the count.
import { jsonCodec } from '../../../dist/protocol/codecs/json.js';
import { msgpackCodec } from '../../../dist/protocol/codecs/msgpack.js';
import { fromWireValue, toWireValue } from '../../../dist/protocol/wire-value.js';
import { plainCopy } from '../../../dist/core/log/plain-value.js';
import { structureOf } from '../../../dist/core/ports/value-weight.js';

/** So many that what the process compiles, some 100 KB at a time, is little beside them. */
const ITEMS = 50_000;
/** Items of one message. */
const PER_MESSAGE = 2_000;
const COPIES = ITEMS / PER_MESSAGE;
/** Of so many measurements the middle one counts: what the process compiles meanwhile adds to one, and what it gives up takes from one. */
const ROUNDS = 5;

let made = 0;
/** A name of six letters that no other call returns. */
function unusual() {
  // Multiplied, so that neighbours have nothing in common.
  return ((made++ * 48_271 + 60_466_176) % 2_176_782_336).toString(36).padStart(6, '0');
}

/** An object of so many usual names, in another order each time. */
function shuffled(count) {
  const names = Array.from({ length: count }, (_, at) => `name${String.fromCharCode(97 + at)}`);
  const order = names.map((name) => [(made++ * 48_271) % 65_537, name]);
  order.sort(([one], [other]) => one - other);
  return Object.fromEntries(order.map(([, name]) => [name, 1]));
}

const shapes = {
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

function heapOf(make) {
  for (let round = 0; round < 2; round++) globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  const held = make();
  for (let round = 0; round < 2; round++) globalThis.gc();
  const after = process.memoryUsage().heapUsed;
  return held === undefined ? 0 : after - before;
}

function middle(make) {
  const measured = Array.from({ length: ROUNDS }, () => heapOf(make)).sort((one, other) => one - other);
  return measured[(ROUNDS - 1) / 2];
}

function ofMessages(codec, shape) {
  const messages = Array.from({ length: ITEMS / PER_MESSAGE }, () =>
    codec.encode({ type: 'publish', payload: Array.from({ length: PER_MESSAGE }, shape) }),
  );
  const decode = () => messages.map((message) => codec.decode(message));
  let counted = 0;
  for (const message of messages) counted += message.length;
  for (const value of decode().flat()) counted += structureOf(value);
  return { heap: middle(decode), counted };
}

function ofCopies(copy) {
  const text = JSON.stringify(Array.from({ length: PER_MESSAGE }, () => ({ 320: 1, 900: 2 })));
  const value = JSON.parse(text);
  const copyAll = () => Array.from({ length: COPIES }, () => copy(value));
  return { heap: middle(copyAll), counted: COPIES * (structureOf(value) + text.length) };
}

const messages = {};
for (const codec of [jsonCodec, msgpackCodec])
  for (const [name, shape] of Object.entries(shapes))
    messages[`${name} (${codec.name})`] = ofMessages(codec, shape);
const copies = {};
for (const [name, copy] of Object.entries({ plainCopy, toWireValue, fromWireValue }))
  copies[name] = ofCopies(copy);
console.log(JSON.stringify({ messages, copies }));
