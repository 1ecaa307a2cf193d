import { beforeEach, describe, expect, it } from '@jest/globals';
import { OutboxBudget, SHARE_BYTES } from '../../../../lib/core/outbox/outbox-budget.js';

const MIB = 1024 * 1024;
let budget: OutboxBudget;
let warnings: string[];
let scheduled: number;
let ended: string[];

beforeEach(() => {
  warnings = [];
  scheduled = 0;
  ended = [];
  budget = new OutboxBudget({
    limits: { maxBytesPerNode: MIB },
    scheduler: { session: () => void scheduled++ },
    journal: { warn: (_kind, message) => void warnings.push(message()) },
  });
});

/** An outbox that holds so much of its own, until it is ended; `keeps` until it is ended again. */
function outbox(name: string, bytes: number, keeps = 0) {
  let held = bytes;
  const self = {
    shed: () => {
      ended.push(name);
      const left = ended.filter((other) => other === name).length === 1 ? keeps : 0;
      budget.moved(self, held, 0);
      budget.change(left - held);
      held = left;
      if (left > 0) budget.closes(self);
    },
  };
  budget.change(bytes);
  budget.moved(self, 0, bytes);
  return self;
}

describe('the budget of what waits for all clients of a node (G13)', () => {
  it('allows exactly its bound, and asks to be flushed once above it', () => {
    outbox('one', MIB);
    expect(scheduled).toBe(0);
    budget.change(1);
    budget.change(1);
    expect(scheduled).toBe(1);
    budget.flush();
    expect(ended).toEqual(['one']);
    budget.change(MIB);
    expect(scheduled).toBe(2);
  });

  it('ends the fullest first, of about equals the one that is so for longest, and no more than it must', () => {
    outbox('small', SHARE_BYTES * 2);
    outbox('large', SHARE_BYTES * 6);
    outbox('also large', SHARE_BYTES * 7);
    outbox('medium', SHARE_BYTES * 4);
    budget.flush();
    expect(ended).toEqual(['large']);
  });

  it('forgets an outbox where it has shrunk to its share, and one that grew counts from then', () => {
    const one = outbox('one', SHARE_BYTES * 4);
    const two = outbox('two', SHARE_BYTES * 4);
    budget.moved(one, SHARE_BYTES * 4, 0);
    budget.moved(one, 0, SHARE_BYTES * 4);
    budget.change(MIB - SHARE_BYTES * 8);
    expect(budget.bytes).toBe(MIB);
    budget.change(1);
    budget.flush();
    expect(ended).toEqual(['two']);
    budget.moved(one, SHARE_BYTES * 4, SHARE_BYTES);
    budget.change(MIB);
    budget.flush();
    expect([ended, two]).toEqual([['two'], two]);
  });

  it.each([
    [SHARE_BYTES, []],
    [SHARE_BYTES + 1, ['one']],
  ])('never ends one that holds its share: of %i bytes', (bytes, expected) => {
    outbox('one', bytes);
    budget.change(MIB);
    budget.flush();
    expect(ended).toEqual(expected);
  });

  it('ends what is larger than everything it tells apart', () => {
    outbox('huge', 2 ** 40);
    budget.flush();
    expect(ended).toEqual(['huge']);
  });

  it('frees first what closed connections hold', () => {
    outbox('leaving', SHARE_BYTES * 15, SHARE_BYTES * 14);
    budget.change(SHARE_BYTES * 2);
    budget.flush();
    expect(ended).toEqual(['leaving']);
    outbox('other', SHARE_BYTES * 15);
    budget.flush();
    expect(ended).toEqual(['leaving', 'leaving', 'other']);
  });

  it('frees nothing of a connection that is gone', () => {
    const leaving = outbox('leaving', MIB + 1, SHARE_BYTES);
    budget.flush();
    budget.gone(leaving);
    budget.change(2 * MIB);
    budget.flush();
    expect(ended).toEqual(['leaving']);
  });

  it('counts what many hold once, until the last has released it', () => {
    const shared = Buffer.alloc(100);
    budget.hold(shared);
    budget.hold(shared);
    budget.hold(Buffer.alloc(100));
    expect(budget.bytes).toBe(200);
    budget.release(shared);
    expect(budget.bytes).toBe(200);
    budget.release(shared);
    expect(budget.bytes).toBe(100);
  });

  it('is scarce above half of the bound', () => {
    budget.change(MIB / 2);
    expect(budget.isScarce).toBe(false);
    budget.change(1);
    expect(budget.isScarce).toBe(true);
  });

  it('says what it did and what to do, and nothing where it did nothing', () => {
    budget.change(MIB + 1);
    budget.flush();
    expect(warnings).toEqual([]);
    outbox('one', SHARE_BYTES * 2);
    budget.flush();
    expect(warnings).toEqual([expect.stringMatching(/1179649 bytes.*outbox\.maxBytesPerNode \(1048576\)/s)]);
  });
});
