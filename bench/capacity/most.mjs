import { nodeLoad } from './node.load.mjs';
import { closestOf } from './nodes.mjs';

/** More than any node carries. */
const MOST_EVENTS = 1e7;

/**
 * The most events a second that a single node carries.
 *
 * @param plan as of `planOf`; its rate counts for nothing.
 * @returns {{ rate: number, binding: string }} `binding` is the limit that keeps it from more. `rate` 0: even without
 * events the node is above it.
 */
export function mostEvents(plan, costs) {
  const at = (rate) => closestOf(plan, nodeLoad({ ...plan, rate }, costs, 1));
  const idle = at(0);
  if (idle.filled > 1) return { rate: 0, binding: idle.name };
  let carried = 0;
  let tooMany = MOST_EVENTS;
  while (tooMany - carried > 1e-3 * carried + 1e-3) {
    const rate = (carried + tooMany) / 2;
    if (at(rate).filled <= 1) carried = rate;
    else tooMany = rate;
  }
  return { rate: carried, binding: at(tooMany).name };
}
