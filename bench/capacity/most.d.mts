import type { Costs, Plan } from './capacity.types.mjs';

export function mostEvents(plan: Plan, costs: Costs): { readonly rate: number; readonly binding: string };
