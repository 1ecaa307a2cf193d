import type { Costs, Plan } from './capacity.types.mjs';

export const LIMITS: readonly (keyof Plan)[];
export function tableOf(costs: Costs, said?: Partial<Plan>): readonly (readonly string[])[];
