import { keptUp, offer, workedOff } from './offer.mjs';

/** A delivery that is later than this is too late, in milliseconds at the 99th percentile. */
export const MAX_P99_MS = 50;
/** Events that a percentile is taken of at least. */
const MIN_EVENTS = 64;

/**
 * Finds the highest rate that a server sustains: doubled until the 99th percentile exceeds {@link MAX_P99_MS} or events
 * stay behind, then narrowed down.
 *
 * @param {number} from A rate, in events a second, at which no server should be at its limit.
 * @param {number} steps Of narrowing down; each halves what is unknown.
 * @returns the sample of the highest rate that was sustained, or `undefined` when not even `from` was.
 */
export async function saturation(running, publisher, { from, steps, measureMs }) {
  let best;
  let rate = from;
  let failed = Infinity;
  // What is not compiled yet is late.
  await offer(running, publisher, from, { measureMs });
  while (failed === Infinity || steps-- > 0) {
    const sample = await sustains(running, publisher, rate, measureMs);
    if (sample !== undefined) best = sample;
    else if (best === undefined) return undefined;
    else failed = rate;
    rate = failed === Infinity ? rate * 2 : Math.round(Math.sqrt(best.perSecond * failed));
  }
  return best;
}

/** Tried three times: one hiccup of the machine is no limit of the server. */
async function sustains(running, publisher, rate, least) {
  const measureMs = Math.max(least, (1_000 * MIN_EVENTS) / rate);
  for (let attempt = 0; attempt < 3; attempt++) {
    const sample = await offer(running, publisher, rate, { measureMs });
    await workedOff(running);
    if (sample.p99 <= MAX_P99_MS && keptUp(sample)) return sample;
  }
  return undefined;
}
