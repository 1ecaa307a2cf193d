import { nodeLoad } from './node.load.mjs';

/** Where the search ends: a cluster of this size has other limits. */
const MAX_NODES = 10_000;
/** What a node has a limit of, how much of it a load takes, and how much there is. */
const CONSTRAINTS = [
  { name: 'CPU', used: ({ needed }) => needed, limit: ({ target }) => target },
  { name: 'memory', used: ({ memory }) => memory, limit: ({ memory }) => memory },
  {
    name: 'connections (limits.maxConnections)',
    used: ({ connections }) => connections,
    limit: ({ maxConnections }) => maxConnections,
  },
  { name: 'bandwidth', used: ({ bits }) => bits, limit: ({ bandwidth }) => bandwidth },
];

/**
 * The smallest number of nodes that carries the plan.
 *
 * @returns {{ nodes: number | undefined, load: object, binding: string }} `binding` is the constraint that keeps one node
 * less from being enough; for a single node, the one that is closest to its limit. Without `nodes` no number is enough,
 * since every node has to do what `binding` names: `load` is then that of the most nodes tried.
 */
export function nodesFor(plan, costs) {
  let before;
  for (let nodes = 1; nodes <= MAX_NODES; nodes++) {
    const load = nodeLoad(plan, costs, nodes);
    const closest = closestOf(plan, load);
    if (closest.filled <= 1) return { nodes, load, binding: (before ?? closest).name };
    before = closest;
    if (nodes === MAX_NODES) return { nodes: undefined, load, binding: closest.name };
  }
  throw new Error('The search has no end');
}

/** The constraint that a load fills most, as a share of its limit. */
export function closestOf(plan, load) {
  let closest = { name: 'none', filled: -1 };
  for (const { name, used, limit } of CONSTRAINTS) {
    const filled = used(load) / limit(plan);
    if (filled > closest.filled) closest = { name, filled };
  }
  return closest;
}
