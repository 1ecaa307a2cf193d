import type { Settled, SiteSettings } from './site.mjs';
import type { Move } from './outcome.mjs';

/** One node, two nodes, one again. */
export interface Stage extends Partial<Move> {
  readonly stage: string;
  /** Connections of each node that is there. */
  readonly nodes: readonly number[];
  /** Until the nodes were balanced, or until the process had ended, in milliseconds. */
  readonly tookMs?: number;
  readonly exit?: number | string;
}

export interface Scaling extends Settled {
  readonly stages: readonly Stage[];
  readonly lines: readonly string[];
}

export function scaleOutAndIn(
  settings: SiteSettings,
  times: { readonly calmMs: number; readonly balanceMs: number },
): Promise<Scaling>;
