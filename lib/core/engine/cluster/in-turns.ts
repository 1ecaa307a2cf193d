import type { Clock } from '../../ports/clock.js';

/** Members that are visited between two looks at the clock. */
const STRIDE = 256;
/** Longest run without a turn of the event loop, in milliseconds. */
const SLICE_MS = 4;

/**
 * Visits the members of a collection that may be large, in turns: what clients wait for comes in between. A `Set` or a `Map` may
 * change on the way, and what is added is then visited as well.
 *
 * @param visit returns `false` to end the walk.
 */
export async function inTurns<T>(
  members: Iterable<T>,
  clock: Pick<Clock, 'monotonic'>,
  visit: (member: T) => boolean | void,
): Promise<void> {
  let visited = 0;
  let startedAt = clock.monotonic();
  for (const member of members) {
    if (visit(member) === false) return;
    if (++visited % STRIDE !== 0 || clock.monotonic() - startedAt < SLICE_MS) continue;
    await new Promise<void>((resolve) => setImmediate(resolve));
    startedAt = clock.monotonic();
  }
}
