import type { Settled, SiteSettings } from './site.mjs';
import type { Move } from './outcome.mjs';

/** What one restart did. */
export interface Restart extends Move {
  readonly exit: number | string;
  /** From SIGTERM to the end of the process, in milliseconds. */
  readonly tookMs: number;
  /** Clients that did not come back. */
  readonly absent: number;
}

export interface Rollout extends Settled {
  readonly restarts: readonly Restart[];
  /** What the processes wrote. */
  readonly lines: readonly string[];
}

export function rollOut(
  settings: SiteSettings,
  times: { readonly steadyMs: number; readonly calmMs: number },
): Promise<Rollout>;
