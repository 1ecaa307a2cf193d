import { thousands } from '../support/statistics.mjs';
import { mostEvents } from './most.mjs';
import { planOf } from './plan.mjs';

const CONNECTIONS = [1_000, 5_000, 20_000, 50_000];
const SUBSCRIBERS = [1, 10, 100, 1_000];

/** Fields of a plan that a table has for all of its rows. */
export const LIMITS = [
  'bytes',
  'source',
  'requests',
  'lifetime',
  'heartbeat',
  'flushDelay',
  'history',
  'maxConnections',
  'target',
  'memory',
  'bandwidth',
];

/** Rows of events a second that a single node carries: connections, then a cell for each number of subscribers of a channel. */
export function tableOf(costs, said = {}) {
  return CONNECTIONS.map((connections) => [
    thousands(connections),
    ...SUBSCRIBERS.map((subscribers) => {
      const channels = connections / subscribers;
      const { rate, binding } = mostEvents(planOf({ ...said, connections, channels, rate: 0 }), costs);
      return `${shown(rate)} (${binding.split(' ')[0]})`;
    }),
  ]);
}

/** Prints it in the form of a document. */
export function tellTable(costs, said) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const head = ['connections', ...SUBSCRIBERS.map((count) => `${thousands(count)} per channel`)];
  console.log(`\nEvents a second that one node carries over ${costs.transport}, and what binds first\n`);
  for (const row of [head, head.map(() => '---'), ...tableOf(costs, said)]) console.log(line(row));
}

/** Two figures: the costs are not known better. */
function shown(rate) {
  return thousands(Number(rate.toPrecision(2)));
}
