import type { Plan } from './capacity.types.mjs';

export function planOf(said: Partial<Plan>): Plan;
