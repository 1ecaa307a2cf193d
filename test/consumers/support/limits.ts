import { patience } from '../../support/patience.js';

/**
 * How long the steps may take, in milliseconds: several times what they take on two idle cores with a warm npm cache.
 * Reached only when something hangs.
 */
export const LIMITS = {
  /** An npm or npx command that may download. */
  install: patience(100_000),
  /** A compiler, a test run of a scaffold, a script. */
  command: patience(60_000),
  /** A server that starts, or an event that is shown. */
  ready: patience(20_000),
  /** A cell: one test of a consumer, with all its commands. */
  cell: patience(200_000),
} as const;
