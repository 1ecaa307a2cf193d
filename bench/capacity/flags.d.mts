import type { Plan } from './capacity.types.mjs';

export function readFlags(args: readonly string[]): Partial<Plan> & {
  readonly transport?: string;
  readonly costs?: string;
  readonly save?: string;
  readonly check?: boolean;
  readonly table?: boolean;
  readonly help?: boolean;
};
export function usage(): string;
