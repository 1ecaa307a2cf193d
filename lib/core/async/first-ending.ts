/** What ends, and takes room until then. */
export interface Ending {
  /** `Infinity` without end. */
  readonly until: number;
  readonly bytes: number;
}

/** Room for what is kept. */
export interface Room {
  readonly count: number;
  readonly bytes: number;
}

/** Part that is dropped at once where there is too much, so that not every new one costs a look at all. */
const DROPPED_PART = 1 / 64;

/**
 * What has to go where more is kept than there is room for, in count or in bytes: what ends first, and of what ends together the oldest.
 *
 * @param entries in the order of their age.
 * @returns keys of it; none where there is room.
 */
export function firstEnding(entries: ReadonlyMap<string, Ending>, room: Room): readonly string[] {
  let bytes = 0;
  for (const entry of entries.values()) bytes += entry.bytes;
  let count = entries.size;
  if (count <= room.count && bytes <= room.bytes) return [];
  const most = Math.max(1, Math.floor(room.count * (1 - DROPPED_PART)));
  const mostBytes = room.bytes * (1 - DROPPED_PART);
  // Of those that end together, the oldest first: sorting keeps their order.
  const inOrder = [...entries].sort(([, a], [, b]) => (a.until < b.until ? -1 : a.until > b.until ? 1 : 0));
  const dropped: string[] = [];
  for (const [key, entry] of inOrder) {
    if (count <= most && bytes <= mostBytes) break;
    dropped.push(key);
    count--;
    bytes -= entry.bytes;
  }
  return dropped;
}
