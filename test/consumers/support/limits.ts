/**
 * How long the steps may take, in milliseconds: about ten times what they take on two idle cores with a warm npm cache.
 * They are reached only when something hangs.
 */
export const LIMITS = {
  /** An npm or npx command that may download. */
  install: 300_000,
  /** A compiler, a test run of a scaffold, a script. */
  command: 120_000,
  /** A server that starts, or an event that is shown. */
  ready: 60_000,
  /** A whole cell. */
  cell: 420_000,
} as const;
