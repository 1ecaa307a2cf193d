/** One draw in so many takes an end of its range: mistakes live there. */
const EDGE = 8;

/**
 * Cases of randomized tests, from a seed: the same seed gives the same draws, on every machine (mulberry32, a generator
 * of 32 bits of state). For tests only: what it draws can be guessed.
 */
export class Random {
  private state: number;

  /** @param seed An integer; its lower 32 bits count. */
  constructor(seed: number) {
    this.state = seed | 0;
  }

  /** An integer between `min` and `max`, both included; the ends come more often than what lies between. */
  int(min: number, max: number): number {
    const edge = this.below(EDGE * 2);
    if (edge === 0) return min;
    if (edge === 1) return max;
    return min + this.below(max - min + 1);
  }

  /** One of the items, each as likely as the others. */
  pick<const T>(items: readonly [T, ...T[]]): T {
    return items[this.below(items.length)] as T;
  }

  /** Between `min` and `max` items, both included. */
  list<T>(min: number, max: number, item: (random: Random) => T): readonly T[] {
    return Array.from({ length: this.int(min, max) }, () => item(this));
  }

  /** An integer in [0, bound). */
  private below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  /** In [0, 1). */
  private next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  }
}
