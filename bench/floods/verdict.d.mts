import type { FloodResult } from './flood-site.mjs';
import type { Flood } from './floods.mjs';

export function faultsOf(result: FloodResult, flood: Flood, limits?: { readonly pingMs?: number }): string[];
