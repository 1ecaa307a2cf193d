import { printTable } from '../support/report.mjs';
import { percent, thousands } from '../support/statistics.mjs';
import { nodeLoad } from './node.load.mjs';
import { nodesFor } from './nodes.mjs';

const REDIS_MICROS = { batched: 6, single: 30 };
const megabytes = (value) => `${thousands(value / 1e6)} MB`;
const limited = (value, limit, show) =>
  limit === Infinity ? show(value) : `${show(value)} of ${show(limit)}`;
const PARTS = {
  heartbeats: 'heartbeats',
  connects: 'connections that come and go',
  publishes: 'publishes',
  requests: 'requests',
  received: 'events received from Redis',
  fanOut: 'fan-out to subscribers',
};

/** Prints the costs. */
export function tellCosts({ transport, machine, micros, bytes }) {
  if (machine !== undefined) {
    const { cpu, cores, node, placement } = machine;
    console.log(`Costs of ${transport} on ${cpu}, ${cores} cores, Node ${node}, ${placement}`);
  }
  printTable(
    ['CPU', 'µs'],
    Object.entries(micros).map(([name, value]) => [name, value.toFixed(2)]),
  );
  console.log('');
  printTable(
    ['memory and wire', 'bytes'],
    Object.entries(bytes).map(([name, value]) => [name, thousands(value)]),
  );
}

/** Prints how many nodes the plan needs, what each of them does, and what binds. */
export function tellNodes(plan, costs) {
  const { nodes, load, binding } = nodesFor(plan, costs);
  console.log('');
  if (nodes === undefined) {
    console.log(
      `No number of nodes is enough, for each of them still needs ${impossible(plan, load, binding)}`,
    );
    return false;
  }
  const machines = Math.ceil(nodes / plan.cores);
  console.log(
    `${thousands(nodes)} node${nodes === 1 ? '' : 's'} (processes), ${thousands(machines)} machine${machines === 1 ? '' : 's'} of ` +
      `${plan.cores} core${plan.cores === 1 ? '' : 's'}. ${nodes === 1 ? 'Closest to its limit' : 'Binding'}: ${binding}.`,
  );
  console.log('');
  printTable(
    ['each node', ''],
    [
      ['CPU of one core', limited(load.cpu, plan.target, percent)],
      ...Object.entries(load.parts).map(([part, share]) => [
        `  ${PARTS[part]}`,
        `${(100 * share).toFixed(1)} %`,
      ]),
      ['CPU it cannot do without', percent(load.needed)],
      ['memory', limited(load.memory, plan.memory, megabytes)],
      ['connections', limited(load.connections, plan.maxConnections, thousands)],
      ['deliveries/s', thousands(load.deliveries)],
      ['writes/s', thousands(load.writes)],
      ['sent', limited(load.bits / 1e6, plan.bandwidth / 1e6, (value) => `${value.toFixed(1)} Mbit/s`)],
      [
        'events wait for others',
        load.period === 0 ? 'no' : `up to ${(1e3 * load.period).toFixed(0)} ms, with the flush`,
      ],
      [
        'all of its clients come back in',
        `${((load.connections * costs.micros.connection) / 1e6).toFixed(1)} s of CPU`,
      ],
    ],
  );
  if (load.cpu > plan.target) {
    console.log(
      `\nNothing waits below two thirds of a core of fan-out, so ${percent(load.cpu)} will be seen; more load then shares writes. ` +
        'With --flush-delay 0 the target holds without.',
    );
  }
  if (nodes > 1) tellCluster(plan, costs, nodes);
  return true;
}

/** What not even the most nodes get below, and what helps. */
function impossible(plan, load, binding) {
  if (binding === 'memory') {
    return (
      `${megabytes(load.memory)} of ${megabytes(plan.memory)}, however few clients it has: raise --memory, ` +
      'or keep fewer events with --history.'
    );
  }
  return (
    `${percent(load.needed)} of a core, however few clients it has: a node takes every event of the channels that it serves. ` +
    'Spread the channels over clusters of their own.'
  );
}

function tellCluster(plan, costs, nodes) {
  const left = nodeLoad(plan, costs, nodes - 1);
  console.log(
    `\nWith one node gone each of the others needs ${percent(left.needed)} of a core and ${megabytes(left.memory)}.`,
  );
  const { batched, single } = REDIS_MICROS;
  console.log(
    `Redis: ${thousands(plan.rate)} events/s, ${percent((plan.rate * single) / 1e6)} of its core when each comes alone, ` +
      `${percent((plan.rate * batched) / 1e6)} when they come many at a time.`,
  );
}
