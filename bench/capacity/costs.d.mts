import type { Costs } from './capacity.types.mjs';

export function checkCosts(costs: unknown): Costs;
export function readCosts(file: string): Costs;
