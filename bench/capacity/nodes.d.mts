import type { Costs, NodeLoad, Plan } from './capacity.types.mjs';

export function nodesFor(
  plan: Plan,
  costs: Costs,
): { readonly nodes: number | undefined; readonly load: NodeLoad; readonly binding: string };
