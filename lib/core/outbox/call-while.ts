/**
 * Calls back in order, as long as `hasRoom` is true: the first may take all the room that there is.
 *
 * @returns those that were not called, which keep their place.
 */
export function callWhile(
  callbacks: readonly (() => void)[],
  hasRoom: () => boolean,
): readonly (() => void)[] {
  let next = 0;
  while (next < callbacks.length && hasRoom()) callbacks[next++]?.();
  return callbacks.slice(next);
}
