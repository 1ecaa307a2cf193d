/** Numbers that stand for a text. */
const SIZE = 24;
/** Part of the numbers that near-equal texts share. */
const NEAR = 0.6;
/** Letters of which one number is made. */
const GRAM = 3;

/** Stands for a text: the smallest hashes of its runs of three letters, in ascending order. Near-equal texts share most of them. */
export type Sketch = Uint32Array;

/** Bytes that a sketch counts as. */
export const SKETCH_BYTES = SIZE * 4 + 112;

/** @param text without case and the like; not empty. */
export function sketchOf(text: string): Sketch {
  const hashes = new Set<number>();
  const letters = text.length < GRAM ? `${text}   `.slice(0, GRAM) : text;
  for (let at = 0; at + GRAM <= letters.length; at++) {
    // FNV-1a.
    let hash = 0x811c9dc5;
    for (let next = at; next < at + GRAM; next++)
      hash = Math.imul(hash ^ letters.charCodeAt(next), 0x01000193);
    // Spreads the high bits: what is kept is what is smallest.
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    hashes.add((hash ^ (hash >>> 13)) >>> 0);
  }
  return Uint32Array.from(hashes).sort().slice(0, SIZE);
}

/** Whether two texts share most of their runs of letters: an estimate of the part that they share of all of them. */
export function areNear(one: Sketch, other: Sketch): boolean {
  let shared = 0;
  let all = 0;
  let left = 0;
  let right = 0;
  const size = Math.min(SIZE, Math.max(one.length, other.length));
  while (all < size && (left < one.length || right < other.length)) {
    const a = one[left] ?? Infinity;
    const b = other[right] ?? Infinity;
    if (a === b) shared++;
    if (a <= b) left++;
    if (b <= a) right++;
    all++;
  }
  return all > 0 && shared >= NEAR * all;
}
