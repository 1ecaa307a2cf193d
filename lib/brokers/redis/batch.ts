/** Most steps in one script call. */
const BATCH = 200;

/** How many of the steps fit into one script call; at least one. @param maxBytes of a call. */
export function fitting(steps: readonly { readonly bytes: number }[], maxBytes: number): number {
  let count = 0;
  let bytes = 0;
  for (const step of steps) {
    bytes += step.bytes;
    if (count === BATCH || (count > 0 && bytes > maxBytes)) break;
    count += 1;
  }
  return count;
}
