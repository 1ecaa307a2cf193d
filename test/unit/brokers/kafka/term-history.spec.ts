import { describe, expect, it } from '@jest/globals';
import { TermHistory } from '../../../../lib/brokers/kafka/term-history.js';

describe('the terms that a reader of Kafka met', () => {
  it('agree with a log that has the last one, and ends it at or behind the place', () => {
    const terms = read([1, 0], [3, 10]);
    expect(terms.last).toBe(3);
    expect(terms.findCut(3, 20, 20)).toBeUndefined();
    expect(terms.findCut(3, 25, 20)).toBeUndefined();
  });

  it('are cut where the log ends the last one before the place', () => {
    expect(read([1, 0], [3, 10]).findCut(3, 15, 20)).toBe(15);
    expect(read([1, 0], [3, 10]).findCut(3, 19, 20)).toBe(19);
  });

  it('are cut where a term began that the log does not know, although it is long enough', () => {
    const terms = read([1, 0], [3, 10], [5, 14]);
    expect(terms.findCut(4, 30, 20)).toBe(14);
    expect(terms.findCut(2, 30, 20)).toBe(10);
    expect(terms.findCut(1, 12, 20)).toBe(10);
    // The log ends the lower term even before.
    expect(terms.findCut(1, 7, 20)).toBe(7);
  });

  it('may be cut anywhere in a term whose beginning was not read', () => {
    const terms = new TermHistory(4);
    expect(terms.findCut(4, 20, 20)).toBeUndefined();
    expect(terms.findCut(4, 18, 20)).toBe(18);
    expect(terms.findCut(3, 30, 20)).toBe(0);
  });

  it('ascend, and are none before the first record', () => {
    const terms = new TermHistory(0);
    expect(terms.last).toBe(0);
    terms.add(2, 5);
    terms.add(2, 6);
    terms.add(1, 7);
    expect(terms.last).toBe(2);
    expect(terms.findCut(1, 30, 8)).toBe(5);
  });

  it('are remembered in a bounded number: what is older may be cut anywhere', () => {
    const terms = new TermHistory(0);
    for (let term = 1; term <= 1_000; term++) terms.add(term, term * 10);
    expect(terms.findCut(999, 20_000, 10_001)).toBe(10_000);
    expect(terms.findCut(900, 20_000, 10_001)).toBe(9_010);
    expect(terms.findCut(5, 20_000, 10_001)).toBe(0);
  });
});

function read(...met: readonly (readonly [term: number, offset: number])[]): TermHistory {
  const terms = new TermHistory(0);
  for (const [term, offset] of met) terms.add(term, offset);
  return terms;
}
