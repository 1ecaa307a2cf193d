/** Deeper data counts as changed: hostile nesting must not overflow the stack, and a diff too many harms nobody. */
const MAX_DEPTH = 64;

/** Whether two values of the kind that a codec makes (JSON's, and bytes) say the same, in whatever order of keys. */
export function sameData(left: unknown, right: unknown, depth = 0): boolean {
  if (Object.is(left, right)) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  if (depth === MAX_DEPTH || Array.isArray(left) !== Array.isArray(right)) return false;
  const leftEntries = Object.entries(left);
  if (leftEntries.length !== Object.keys(right).length) return false;
  const other = right as Readonly<Record<string, unknown>>;
  return leftEntries.every(
    ([key, value]) => Object.hasOwn(other, key) && sameData(value, other[key], depth + 1),
  );
}
