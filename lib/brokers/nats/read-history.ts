import type { LogRecord } from '../replicated/ordered-log.js';

/** What tells a record from another one at the same offset: when it was stored, and how long it is. */
export interface RecordMark {
  readonly offset: number;
  readonly timeMs: number;
  readonly size: number;
}

/** Records of which the marks are kept: a cut further back than these is reported from the beginning of the log. */
const KEPT = 512;

/**
 * Remembers what was read last, so that after a reconnect the reader can see whether the stream still has it: a stream that lost its
 * end and was written again is as long as before.
 */
export class ReadHistory {
  /** Ascending offsets; at most twice {@link KEPT}. */
  private marks: RecordMark[] = [];

  add({ offset, timeMs, bytes }: LogRecord): void {
    this.marks.push({ offset, timeMs, size: bytes.length });
    if (this.marks.length >= 2 * KEPT) this.marks = this.marks.slice(-KEPT);
  }

  /**
   * Looks for the first record that the stream has no more, or has another one for.
   *
   * @param first First offset that the stream has.
   * @param isSame Asks the stream.
   * @returns `undefined` when the newest is still there; otherwise where the stream differs, or `first` when all that is known does
   */
  async findCut(first: number, isSame: (mark: RecordMark) => Promise<boolean>): Promise<number | undefined> {
    const marks = this.marks.filter(({ offset }) => offset >= first);
    const newest = marks.at(-1);
    if (newest === undefined || (await isSame(newest))) return undefined;
    // The first that differs is above `same` and at or below `other`.
    let [same, other] = [-1, marks.length - 1];
    while (other - same > 1) {
      const middle = (same + other) >> 1;
      const mark = marks[middle];
      if (mark !== undefined && (await isSame(mark))) same = middle;
      else other = middle;
    }
    return same < 0 ? first : marks[other]?.offset;
  }
}
