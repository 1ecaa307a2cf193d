import { describe, expect, it } from '@jest/globals';
import { checkProperty } from '../../../../lib/brokers/contract/property.js';
import type { Random } from '../../../../lib/brokers/contract/random.js';

const make = (random: Random) => ({ number: random.int(0, 99) });

async function failureOf(work: Promise<unknown>): Promise<Error> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Error)) throw new Error('It did not fail');
  return error;
}

describe('checkProperty', () => {
  it('checks the given number of cases, one after another', async () => {
    const seen: number[] = [];
    let running = 0;
    const check = async ({ number }: { number: number }) => {
      running += 1;
      expect(running).toBe(1);
      await Promise.resolve();
      running -= 1;
      seen.push(number);
    };
    await checkProperty({ make, check }, { seed: 1, runs: 25 });
    expect(seen).toHaveLength(25);
    expect(new Set(seen).size).toBeGreaterThan(10);
  });

  it('stops at the first case that fails; the same seed finds it again', async () => {
    let checked = 0;
    const check = async ({ number }: { number: number }) => {
      checked += 1;
      if (number > 90) throw new Error(`${number} is too large`);
    };
    const first = await failureOf(checkProperty({ make, check }, { seed: 2, runs: 1_000 }));
    expect(first.message).toMatch(
      /^Case \d+ of 1000 with seed 2 does not hold: \{"number":9\d\}\n\n9\d is too large$/,
    );
    expect(first.cause).toEqual(new Error(/9\d is too large/.exec(first.message)?.[0]));
    expect(first.message).toContain(`Case ${checked} of`);
    const second = await failureOf(checkProperty({ make, check }, { seed: 2, runs: 1_000 }));
    expect(second.message).toBe(first.message);
  });

  it.each([0, -1, 1.5, Number.NaN])('refuses %d runs, which would prove nothing', async (runs) => {
    const failure = await failureOf(checkProperty({ make, check: async () => undefined }, { seed: 1, runs }));
    expect(failure).toBeInstanceOf(RangeError);
  });
});
