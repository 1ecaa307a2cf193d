import type { Clock } from '../../core/ports/clock.js';
import type { Entropy } from '../../core/ports/entropy.js';

/** What a log needs of its process. */
export interface LogDeps {
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Something that the operator should know, once for each cause; names no credential. */
  onWarning?(message: string): void;
}
