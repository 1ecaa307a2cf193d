import type { Entropy } from '../../../lib/core/ports/entropy.js';

/**
 * Entropy that gives the same values for the same seed. Ids and tokens are a counter behind the seed, so they
 * are unique per instance and readable in a failing test.
 *
 * @example
 * const entropy = new SeededEntropy(7);
 * entropy.token(); // 't7-1'
 */
export class SeededEntropy implements Entropy {
  private state: number;
  private ids = 0;
  private tokens = 0;

  constructor(private readonly seed = 1) {
    this.state = seed >>> 0;
  }

  id(): string {
    return `id${this.seed}-${++this.ids}`;
  }

  token(): string {
    return `t${this.seed}-${++this.tokens}`;
  }

  /** mulberry32: small, fast, and good enough to pick interleavings. */
  random(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = this.state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** Uniform whole number in [0, below). */
  int(below: number): number {
    return Math.floor(this.random() * below);
  }

  /** One of the given items. */
  pick<T>(items: readonly T[]): T {
    const item = items[this.int(items.length)];
    if (item === undefined) throw new RangeError('pick() needs at least one item');
    return item;
  }
}
