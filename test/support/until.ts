import { elapse, patience } from './patience.js';

/** Longest time that a test waits for a condition; reached only when the test fails. */
const PATIENCE_MS = patience(10_000);
const STEP_MS = 2;

/**
 * Waits until a condition holds.
 *
 * @param what Shown when it does not come true.
 * @example await until('the session to end', () => server.engine.status.sessions === 0);
 */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = PATIENCE_MS,
): Promise<void> {
  // Made here, where the test's own line is still on the stack.
  const failure = new Error(`Waited ${timeoutMs} ms in vain for ${what}`);
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw failure;
    await elapse(STEP_MS);
  }
}
