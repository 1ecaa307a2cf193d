import type { Costs, NodeLoad, Plan } from './capacity.types.mjs';

export function nodeLoad(plan: Plan, costs: Costs, nodes: number): NodeLoad;
