import { areNear, SKETCH_BYTES, type Sketch } from './sketch.js';

/** What a client takes beside its name and its texts. */
const CLIENT_BYTES = 256;

interface Seen {
  readonly sketch: Sketch;
  readonly kind: number;
  at: number;
}

/** What is remembered of one client. */
export class RecentTexts {
  /** Times at which the buckets of the client are full again. */
  readonly fullAt: number[] = [];
  private readonly texts: Seen[] = [];

  /** @param capacity texts that are remembered; the oldest are forgotten. */
  constructor(private readonly capacity: number) {}

  /** Bytes that it counts as. */
  get bytes(): number {
    return CLIENT_BYTES + this.texts.length * (SKETCH_BYTES + 64);
  }

  /**
   * Remembers a text. @param kind texts of different kinds are never equal.
   * @returns how many near-equal ones there were within `windowMs`, this one included.
   */
  add(sketch: Sketch, kind: number, windowMs: number, now: number): number {
    let count = 1;
    for (const seen of this.texts)
      if (seen.kind === kind && now - seen.at <= windowMs && areNear(seen.sketch, sketch)) count++;
    this.texts.push({ sketch, kind, at: now });
    if (this.texts.length > this.capacity) this.texts.shift();
    return count;
  }
}
