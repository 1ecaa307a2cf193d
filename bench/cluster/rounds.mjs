import { medianRatio } from '../support/statistics.mjs';

/**
 * Rounds of all contenders in turn, each time beginning with another one; the first round warms up and is not kept.
 *
 * @param {Map<string, object[]>} samples Takes the samples by the contender's name, in the order of the contenders.
 * @param {(contender: object) => Promise<object>} round
 */
export async function alternate(contenders, rounds, samples, round) {
  for (const { name } of contenders) samples.set(name, []);
  for (let index = -1; index < rounds; index++) {
    for (let place = 0; place < contenders.length; place++) {
      const contender = contenders[(place + index + 1) % contenders.length];
      const sample = await round(contender);
      if (index >= 0) samples.get(contender.name).push(sample);
    }
  }
}

/** Median of the ratios of two contenders, round by round. */
export function ratioOf(samples, name, other, field = 'rate') {
  const of = (one) => samples.get(one).map((sample) => sample[field]);
  return medianRatio(of(name), of(other));
}
