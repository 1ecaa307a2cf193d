import { percentile } from '../support/statistics.mjs';

/** Over how long a rate of connects is counted, in milliseconds. */
const RATE_MS = 1_000;

/**
 * The most moments within any window of that length, per second.
 *
 * @param {readonly number[]} moments In order, in milliseconds.
 * @param {number} windowMs
 */
export function largestRate(moments, windowMs) {
  let most = 0;
  let first = 0;
  for (let last = 0; last < moments.length; last++) {
    while (moments[last] - moments[first] >= windowMs) first++;
    most = Math.max(most, last - first + 1);
  }
  return (most * 1_000) / windowMs;
}

/** What a part of the run in which clients lose their node did to them. @param measured Answer of `RollingSite.measure`. */
export function moveOf({ clients, accepted, refused }) {
  const moved = clients.filter((client) => client.moved);
  return {
    moved: moved.length,
    /** Longest times without an event of those that lost their connection, in milliseconds. */
    silences: moved.map(({ longest }) => longest),
    /** The same of all others. */
    stayed: clients.filter((client) => !client.moved).map(({ longest }) => longest),
    connects: accepted.length,
    refused,
    overMs: accepted.length === 0 ? 0 : accepted.at(-1) - accepted[0],
    largestPerSecond: largestRate(accepted, RATE_MS),
  };
}

/** CPU between two looks, of one core. With several nodes that of the busiest. */
export function sharesOf(before, after) {
  const ms = after.at - before.at;
  const share = (name) => (after[name] - before[name]) / ms;
  return {
    node: Math.max(...after.nodes.map((used, index) => (used - before.nodes[index]) / ms)),
    balancer: share('balancer'),
    source: share('source'),
    clients: share('clients'),
  };
}

/** p50, p95, p99 and the largest. */
export const spreadOf = (values) => [0.5, 0.95, 0.99, 1].map((share) => percentile(values, share));
