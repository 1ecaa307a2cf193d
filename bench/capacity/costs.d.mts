import type { Costs } from './capacity.types.mjs';

export function checkCosts(costs: unknown): Costs;
export function readCosts(file: string, transport?: string): Costs;
export function saveCosts(file: string, costs: Costs): void;
