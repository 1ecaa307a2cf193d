/** A `Map` or a `Set`: both keep the order in which their members were added. */
interface Kept<Key> {
  readonly size: number;
  keys(): Iterable<Key>;
  delete(key: Key): boolean;
}

/** Removes what was added first, for as long as more than `most` are kept. A member that is used again is removed and added again. */
export function trimOldest<Key>(kept: Kept<Key>, most: number): void {
  if (kept.size <= most) return;
  for (const key of kept.keys()) {
    kept.delete(key);
    if (kept.size <= most) return;
  }
}
