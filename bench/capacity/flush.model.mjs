/** How many times its own length a flush is followed by a pause, and the share of a core from which there are pauses. */
const REST = 3;
const PACED_FROM = 2 / 3;
/** Share of a core that flushes take while their pauses are not at the bound: a flush, and three times its length. */
const RESTED = 1 / (1 + REST);

/** How many of `rate` events a second begin a period of `period` seconds that others share; Poisson arrivals. */
function sharedRate(rate, period) {
  return period === 0 ? rate : -Math.expm1(-rate * period) / period;
}

/**
 * Share of a core that flushing takes when each period of `period` seconds is flushed once; 0: each event by itself.
 *
 * @param {object} load of one node: `channels` and `connections` that have events, `eventsPerChannel` and
 * `eventsPerConnection` a second, and the CPU microseconds `flush` (of a channel), `write` (of a connection) and
 * `perSecond` (what sharing does not save, of all events of a second).
 */
export function flushShare(load, period) {
  const flushes = load.channels * sharedRate(load.eventsPerChannel, period);
  const writes = load.connections * sharedRate(load.eventsPerConnection, period);
  return (flushes * load.flush + writes * load.write + load.perSecond) / 1e6;
}

/**
 * What flushing needs when events wait as long as the pace lets them (lib/core/outbox/flush-pace.ts): a flush rests three times its
 * length, less where that and two flushes together would exceed twice the bound.
 *
 * @param {number} maxDelay in seconds; 0: nothing ever waits.
 * @returns {{ alone: number, needed: number, expected: number, period: number }} shares of a core: when each event is
 * written by itself, the least that is needed, and what will be seen; `period` in seconds, 0 when nothing waits.
 */
export function flushing(load, maxDelay) {
  const alone = flushShare(load, 0);
  if (maxDelay === 0 || alone <= RESTED) return { alone, needed: alone, expected: alone, period: 0 };
  // The longest that a node which has CPU left lets pass from flush to flush.
  const needed = Math.max(RESTED, flushShare(load, maxDelay / REST + maxDelay));
  if (alone <= PACED_FROM) return { alone, needed: Math.min(needed, alone), expected: alone, period: 0 };
  const period = periodOf(load, maxDelay);
  const expected = flushShare(load, period);
  return { alone, needed: Math.min(needed, expected), expected, period };
}

/** As the pace has it, in seconds. */
function restAfter(length, maxDelay) {
  return Math.max(0, Math.min(REST * length, ((maxDelay - length) * REST) / (REST - 1)));
}

/** From flush to flush, in seconds; Infinity where not even sharing makes flushes shorter than their period. */
function periodOf(load, maxDelay) {
  const rests = (period) => {
    const length = flushShare(load, period) * period;
    return length + restAfter(length, maxDelay) <= period;
  };
  let long = maxDelay;
  while (!rests(long)) {
    long *= 2;
    // Queues of minutes are bounded by other things.
    if (long > 60) return Infinity;
  }
  let short = 0;
  for (let step = 0; step < 60; step++) {
    const middle = (short + long) / 2;
    if (rests(middle)) long = middle;
    else short = middle;
  }
  return long;
}
