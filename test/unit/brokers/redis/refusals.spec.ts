import { beforeEach, describe, expect, it } from '@jest/globals';
import { refusalForClients, refusalOf } from '../../../../lib/brokers/redis/errors.js';
import { Refusals } from '../../../../lib/brokers/redis/refusals.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

const HOLDS_MS = 10_000;
const FULL = "OOM command not allowed when used memory > 'maxmemory'.";
const NO_DISK = 'MISCONF Errors writing to the AOF file: No space left on device';

describe('an error of Redis', () => {
  it.each(['OOM', 'MISCONF', 'NOREPLICAS', 'READONLY', 'LOADING', 'MASTERDOWN', 'NOAUTH', 'WRONGPASS'])(
    '%s says that the server refuses, and clients are shown the word alone (G20)',
    (word) => {
      const error = new Error(`${word} secret detail. script: 0a1b2c, on @user_script:12.`);
      expect(refusalOf(error)).toBe(`${word} secret detail.`);
      expect(refusalForClients(error)).toBe(`The broker refuses what is written to it (${word})`);
    },
  );

  it.each([
    'WRONGTYPE Operation against a key',
    'NOSCRIPT No matching script',
    'ERR unknown command',
    'OOMPH is no word of Redis',
    'The queue is full, not OOM',
    '',
  ])('%j is about one command, and no refusal', (text) => {
    expect([refusalOf(new Error(text)), refusalForClients(new Error(text))]).toEqual([undefined, undefined]);
  });
});

describe('what servers refuse', () => {
  let clock: ManualClock;
  let seen: (string | undefined)[];
  let refusals: Refusals;
  beforeEach(() => {
    clock = new ManualClock();
    seen = [];
    refusals = new Refusals(clock, () => seen.push(refusals.current));
  });

  it('is said once, however often and in whichever words of the same kind it is refused (G20)', () => {
    for (let index = 0; index < 100; index++)
      refusals.note('main', new Error(`${FULL} script: ${index}, on @user_script:${index}.`));
    refusals.note('main', new Error('OOM in other words'));
    expect(seen).toEqual([FULL]);
  });

  it('changes with the reason, and ends with a sign of life that is taken', () => {
    refusals.note('main', new Error(FULL));
    refusals.set('main', NO_DISK);
    refusals.set('main', undefined);
    refusals.set('main', undefined);
    expect(seen).toEqual([FULL, NO_DISK, undefined]);
    refusals.set('main', FULL);
    expect(refusals.current).toBe(FULL);
  });

  it('of another server ends when nothing was refused there for a time, and not before', () => {
    refusals.note('a:1', new Error(FULL));
    refusals.set('b:2', undefined);
    expect(refusals.current).toBe(FULL);
    clock.advance(HOLDS_MS - 1);
    refusals.note('a:1', new Error(FULL));
    clock.advance(HOLDS_MS - 1);
    expect(refusals.current).toBe(FULL);
    // The next look after its time is over.
    clock.advance(HOLDS_MS + 1);
    expect(seen).toEqual([FULL, undefined]);
    expect(clock.pending).toBe(0);
    refusals.note('a:1', new Error(FULL));
    clock.advance(2 * HOLDS_MS);
    expect(seen).toEqual([FULL, undefined, FULL, undefined]);
  });

  it('of two servers is said until neither refuses', () => {
    refusals.set('a:1', FULL);
    refusals.set('b:2', NO_DISK);
    expect(refusals.current).toBe(FULL);
    refusals.set('a:1', undefined);
    expect(refusals.current).toBe(NO_DISK);
    refusals.set('b:2', undefined);
    expect(seen).toEqual([FULL, NO_DISK, undefined]);
  });

  it('ends at once with the broker', () => {
    refusals.set('main', FULL);
    refusals.close();
    expect([refusals.current, clock.pending]).toEqual([undefined, 0]);
  });
});
