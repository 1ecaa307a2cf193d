import { beforeEach, expect, it } from '@jest/globals';
import type { OrderedLog } from '../../../../lib/brokers/replicated/ordered-log.js';
import { Signals, type Signal } from '../../../../lib/brokers/replicated/signals.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

const REPORT = { partition: 1, incarnation: 'life', offset: 64, input: 'in', outcome: 'out', alike: ['a'] };
const LONGEST = 'x'.repeat(128);
/** Most bytes of messages whose parts have not all arrived. */
const ROOM = 32 * 1024 * 1024;

let clock: ManualClock;
let heard: Signal[];
/** What another program, or node, has sent. */
let arrive: (bytes: Uint8Array) => void;

beforeEach(async () => {
  clock = new ManualClock();
  heard = [];
  const log = {
    onSignal: async (listener: (bytes: Uint8Array) => void) => {
      arrive = listener;
      return () => undefined;
    },
  } as unknown as OrderedLog;
  await new Signals(log, clock, 'me', (signal) => heard.push(signal)).start();
});

const signalOf = (head: object, bytes: Uint8Array = new Uint8Array()): Uint8Array =>
  Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), bytes]);

/** One part of a message to this node. */
function part(from: string, index: unknown, count: unknown, bytes: Uint8Array = new Uint8Array(1)): void {
  arrive(signalOf({ k: 'm', t: 'me', f: from, o: 'topic', i: 1, p: index, c: count }, bytes));
}

const messages = (): string[] =>
  heard.flatMap((signal) => (signal.kind === 'message' ? Buffer.from(signal.bytes).toString() : []));

it('takes names of 128 characters and numbers that are exact in what nodes say about their answers, and nothing beyond', () => {
  const say = (changes: Partial<typeof REPORT>, lease = 'n2#s'): unknown => {
    const { partition, incarnation, offset, input, outcome, alike } = { ...REPORT, ...changes };
    heard = [];
    arrive(signalOf({ k: 'd', l: lease, r: [[partition, incarnation, offset, input, outcome, alike]] }));
    const [signal] = heard;
    return signal?.kind === 'digests' ? signal.reports.length : undefined;
  };
  expect(
    say({ incarnation: LONGEST, input: LONGEST, outcome: LONGEST, alike: ['a', LONGEST] }, LONGEST),
  ).toBe(1);
  for (const name of ['incarnation', 'input', 'outcome'] as const)
    expect(say({ [name]: `${LONGEST}x` })).toBe(0);
  expect(say({ alike: ['a', `${LONGEST}x`] })).toBe(0);
  const nodes = Array.from({ length: 1_025 }, (_, index) => `n${index}`);
  expect([say({ alike: nodes.slice(1) }), say({ alike: nodes })]).toEqual([1, 0]);
  expect(say({}, `${LONGEST}x`)).toBeUndefined();
  expect(say({ offset: Number.MAX_SAFE_INTEGER })).toBe(1);
  for (const offset of [Number.MAX_SAFE_INTEGER + 1, -1, 0.5]) expect(say({ offset })).toBe(0);
  for (const partition of [2 ** 53, -1, 0.5]) expect(say({ partition })).toBe(0);
});

it('takes names of 128 characters in confirmations, and none beyond', () => {
  const confirm = (node: string, done: string, refused: string): number => {
    heard = [];
    arrive(signalOf({ k: 'a', n: node, d: [done], r: [refused] }));
    return heard.length;
  };
  expect(confirm(LONGEST, LONGEST, LONGEST)).toBe(1);
  expect(confirm(`${LONGEST}x`, '1.0', '2.0')).toBe(0);
  expect(confirm('n', `${LONGEST}x`, '2.0')).toBe(0);
  expect(confirm('n', '1.0', `${LONGEST}x`)).toBe(0);
});

it('puts a message together of parts that arrive in any order and twice, whatever becomes of what they arrived in', () => {
  const second = signalOf({ k: 'm', t: 'me', f: 'n2', o: 'topic', i: 1, p: 1, c: 3 }, Buffer.from('b'));
  arrive(second);
  second.fill(0);
  part('n2', 2, 3, Buffer.from('c'));
  part('n2', 2, 3, Buffer.from('x'));
  expect(messages()).toEqual([]);
  part('n2', 0, 3, Buffer.from('a'));
  expect(messages()).toEqual(['abc']);
});

it('puts nothing together of parts whose numbers cannot be', () => {
  for (const [index, count] of [
    [-1, 2],
    [2, 2],
    [0.5, 2],
    ['x', 2],
    [0, 10_001],
  ])
    part('n2', index, count);
  part('n3', 5, 10);
  part('n3', 0, 2, Buffer.from('0'));
  part(`${LONGEST}x`, 0, 1);
  expect(messages()).toEqual([]);
  part('n2', 0, 2, Buffer.from('a'));
  part('n2', 1, 2, Buffer.from('b'));
  part(LONGEST, 0, 1, Buffer.from('c'));
  expect(messages()).toEqual(['ab', 'c']);
  part('n3', 1, 2, Buffer.from('1'));
  expect(messages()).toEqual(['ab', 'c', '01']);
});

it('forgets parts of a message after 10 s', () => {
  part('n2', 0, 2);
  clock.advance(10_000);
  part('n2', 1, 2);
  expect(messages()).toHaveLength(1);
  part('n2', 0, 2);
  clock.advance(10_001);
  part('n2', 1, 2);
  expect(messages()).toHaveLength(1);
});

it('bounds what it keeps of messages whose parts hold next to nothing: the oldest are forgotten', () => {
  part('oldest', 0, 2);
  // A message costs 256 bytes, twice the length of its name, and each part 256 bytes and its own.
  const each = 2 * 256 + 2 * 'f10000 1'.length;
  for (let index = 0; index < Math.floor(ROOM / each) - 2; index++)
    part(`f${10_000 + index}`, 0, 2, new Uint8Array());
  part('f10000', 1, 2, Buffer.from('kept'));
  expect(messages()).toEqual(['kept']);
  for (let index = 0; index < 5; index++) part(`g${10_000 + index}`, 0, 2, new Uint8Array());
  part('oldest', 1, 2);
  expect(messages()).toEqual(['kept']);
});

it('keeps no more of one message than of all', () => {
  const bytes = new Uint8Array(512 * 1024);
  const send = (count: number): void => {
    for (let index = 0; index < count; index++) part('n2', index, count, bytes);
  };
  send(63);
  expect(messages().map(({ length }) => length)).toEqual([63 * bytes.length]);
  send(65);
  expect(messages()).toHaveLength(1);
});
