import { Random } from './random.js';

/** A randomized test: cases that are made from a seed, and what must hold for each. */
export interface Property<Case> {
  /** Makes a case: plain data, which a failure shows as JSON. */
  readonly make: (random: Random) => Case;
  /** Resolves when the case holds, rejects when it does not. */
  readonly check: (value: Case) => Promise<void>;
}

/**
 * Checks `runs` cases, one after another.
 *
 * @throws Error at the first case that does not hold, with the seed, the case, and the failure as its cause. The same
 * seed fails in the same run again.
 */
export async function checkProperty<Case>(
  property: Property<Case>,
  { seed, runs }: { readonly seed: number; readonly runs: number },
): Promise<void> {
  if (!(Number.isInteger(runs) && runs > 0))
    throw new RangeError(`\`runs\` must be at least 1, not ${runs}.`);
  const random = new Random(seed);
  for (let run = 1; run <= runs; run += 1) {
    const value = property.make(random);
    try {
      await property.check(value);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(
        `Case ${run} of ${runs} with seed ${seed} does not hold: ${JSON.stringify(value)}\n\n${reason}`,
        { cause },
      );
    }
  }
}
