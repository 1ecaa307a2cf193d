import type { Flood, FloodedNode } from './floods.mjs';

/** What a flood did, as JSON: see `FloodSite.run`. */
export interface FloodResult {
  readonly name: string;
  readonly survived: boolean;
  readonly [more: string]: unknown;
}

export const HEAP_MB: number;

export class FloodSite {
  static start(options?: {
    readonly node?: FloodedNode;
    readonly seed?: number;
    readonly pin?: boolean;
  }): Promise<FloodSite>;
  run(flood: Flood, options: { readonly floodMs: number; readonly idleMs: number }): Promise<FloodResult>;
  stop(): Promise<void>;
}
