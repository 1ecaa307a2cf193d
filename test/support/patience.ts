// Every time of a test that runs on a real clock. A lint rule refuses bare numbers in their place.
import { patience, slowness } from '../../scripts/slowness.mjs';

/**
 * The longest wait for something that an idle machine does in `ms`: the limit of a test, of a wait, of a child process.
 * Reached only by a test that fails.
 *
 * @example it('…', async () => { … }, patience(60_000));
 */
export { patience };

/**
 * A time that what is tested measures by the real clock, or a bound on how long it took: longer on a slow machine, so that
 * a process that stands still does not miss it. A test that passes waits for it, so it has no margin.
 *
 * @example redisBroker({ commandTimeoutMs: stretched(1_500) })
 */
export function stretched(ms: number): number {
  return Math.ceil(ms * slowness());
}

/**
 * Lets real time pass: for the clock of another process, or of the system. Not for seeing that nothing happens.
 *
 * @example await elapse(TTL_MS); // the server forgets the key
 */
export function elapse(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
