import type { SeededEntropy } from '../engine/seeded-entropy.js';

/** The items in an order that the seed decides. */
export function shuffled<T>(items: readonly T[], entropy: SeededEntropy): T[] {
  const left = [...items];
  const out: T[] = [];
  while (left.length > 0) out.push(...left.splice(entropy.int(left.length), 1));
  return out;
}
