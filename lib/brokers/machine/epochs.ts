import { fnv1a } from '../common/fnv1a.js';

/** Names are spread over so many counters: forgetting one log makes no more than this part of the other names begin again. */
const COUNTERS = 4_096;
/** Terms that are remembered: this one, and as many before it as a log remembers epochs, whether it entered each or all at once. */
const MAX_TERMS = 9;

/**
 * Epochs of the logs, or of the rosters. They are derived, so that two reads of a name that was never written agree, on every node, and
 * its first append continues what they answered, although nothing is stored for it.
 *
 * Forgetting a log moves its name to an epoch that no log of the store has had: a position of the forgotten log is never true
 * again. The few other names of the same counter move too; a client that holds the position of an empty log of theirs is notified that
 * it is lost. A log that may have lost its end (a new *term*) moves all names: what the lost part counted is counted again.
 */
export class Epochs {
  private readonly counters = new Float64Array(COUNTERS);
  /** Ascending; the last one is now. */
  private known: number[] = [0];

  /** @param token Different for every log that is made. */
  constructor(private readonly token: string) {}

  get term(): number {
    return this.known[this.known.length - 1] ?? 0;
  }

  /** The same for no other log, nor for a part that this one lost. */
  get prefix(): string {
    return inTerm(this.token, this.term);
  }

  /** The epoch that a log of this name begins with, without its term. */
  baseOf(name: string): string {
    return `${this.token}.${(this.counters[counterOf(name)] ?? 0).toString(36)}`;
  }

  /** The epoch that a log of this name begins with. */
  of(name: string): string {
    return inTerm(this.baseOf(name), this.term);
  }

  /** Moves the name to an epoch that it has never had, and returns that, without its term. */
  advance(name: string): string {
    const counter = counterOf(name);
    this.counters[counter] = (this.counters[counter] ?? 0) + 1;
    return this.baseOf(name);
  }

  /** Whether an epoch is one that a log of this name has or had before it was ever written. */
  isUnwritten(name: string, epoch: string): boolean {
    const base = this.baseOf(name);
    return this.known.some((term) => inTerm(base, term) === epoch);
  }

  /** @param term above all before it. */
  begin(term: number): void {
    this.known = [...this.known, term].slice(-MAX_TERMS);
  }

  /** The terms that are remembered after one, ascending. */
  termsAfter(term: number): readonly number[] {
    return this.known.filter((other) => other > term);
  }

  /** What differs from a new one. */
  save(): EpochsState {
    const counters: (readonly [number, number])[] = [];
    for (const [index, count] of this.counters.entries()) if (count > 0) counters.push([index, count]);
    return { terms: this.known, counters };
  }

  /** Into new ones. */
  restore({ terms, counters }: EpochsState): void {
    this.known = [...terms];
    for (const [index, count] of counters) this.counters[index] = count;
  }
}

/** {@link Epochs} in a checkpoint. */
export interface EpochsState {
  readonly terms: readonly number[];
  readonly counters: readonly (readonly [index: number, count: number])[];
}

/** The epoch of a term: one that never had another has none in its name. */
export function inTerm(base: string, term: number): string {
  return term === 0 ? base : `${base}.${term.toString(36)}`;
}

/** Names that a client chooses to meet in one counter gain nothing: it may only make empty logs of its own begin again. */
function counterOf(name: string): number {
  const hash = fnv1a(name);
  return (hash ^ (hash >>> 16)) & (COUNTERS - 1);
}
