import type { Mark } from './commands.js';

/** Records whose digests are all remembered. */
const RECENT = 1_024;
/** Of older ones, that of each so many, and of ever fewer: the last two at each doubling. */
const STEP = 256;
const MAX_DOUBLINGS = 32;
const KEPT_OF_EACH = 2;

/** A mark with the machine time of its record: what was applied at an earlier time is of a record before it. */
export interface TimedMark extends Mark {
  readonly now: number;
}

/**
 * Digests of what was read, at places that another reader of the same log remembers too: the newest records, and multiples of 256 that
 * grow sparse. By them it is found where two readers began to read different logs.
 */
export class Marks {
  /** In a ring, oldest first. */
  private recent: TimedMark[] = [];
  private head = 0;
  /** Newest first. */
  private sparse: readonly TimedMark[] = [];
  /** Of the first record: by it every two readers of one log agree. */
  private first: TimedMark | undefined;

  /** To be called with each record, after it. */
  add(mark: TimedMark): void {
    const { last } = this;
    this.first ??= mark;
    if (last !== undefined) this.keep(last, mark.offset);
    if (this.recent.length < RECENT) this.recent.push(mark);
    else {
      this.recent[this.head] = mark;
      this.head = (this.head + 1) % RECENT;
    }
  }

  /** What a reader that asks is shown: the place of its last record first, then the sparse ones. */
  shown(): readonly Mark[] {
    const { last, first } = this;
    if (last === undefined || first === undefined) return [];
    return [last, ...this.sparse, first].map(({ offset, digest }) => ({ offset, digest }));
  }

  /**
   * Compares marks of another reader with what was read here. Places that are not remembered here are passed over.
   *
   * @param marks newest first.
   * @returns `last`: the newest that agrees. `isAll`: whether none differs.
   */
  compare(marks: readonly Mark[]): { readonly last: TimedMark | undefined; readonly isAll: boolean } {
    let isAll = true;
    for (const mark of marks) {
      const own = this.at(mark.offset);
      if (own === undefined) continue;
      if (own.digest === mark.digest) return { last: own, isAll };
      isAll = false;
    }
    return { last: undefined, isAll };
  }

  save(): MarksState {
    const state = ({ offset, digest, now }: TimedMark) => [offset, digest, now] as const;
    const first = this.first === undefined ? [] : [state(this.first)];
    return { recent: this.ordered().map(state), sparse: this.sparse.map(state), first };
  }

  /** Into new ones. */
  restore({ recent, sparse, first: [first] }: MarksState): void {
    const mark = ([offset, digest, now]: MarkState) => ({ offset, digest, now });
    this.first = first === undefined ? undefined : mark(first);
    this.recent = recent.map(mark);
    this.head = 0;
    this.sparse = sparse.map(mark);
  }

  private get last(): TimedMark | undefined {
    const { length } = this.recent;
    return length === 0 ? undefined : this.recent[(this.head + length - 1) % length];
  }

  private ordered(): readonly TimedMark[] {
    return [...this.recent.slice(this.head), ...this.recent.slice(0, this.head)];
  }

  private at(offset: number): TimedMark | undefined {
    const has = (mark: TimedMark) => mark.offset === offset;
    if (this.first !== undefined && has(this.first)) return this.first;
    return this.recent.find(has) ?? this.sparse.find(has);
  }

  /** Keeps the mark of the last record before a multiple, at the first one behind it. */
  private keep(mark: TimedMark, next: number): void {
    const place = Math.floor(next / STEP);
    if (place === Math.floor(mark.offset / STEP)) return;
    const sparse = [mark, ...this.sparse];
    const counts = new Map<number, number>();
    this.sparse = sparse.filter(({ offset }) => {
      const doubling = doublingOf(offset);
      const count = (counts.get(doubling) ?? 0) + 1;
      counts.set(doubling, count);
      return count <= KEPT_OF_EACH;
    });
  }
}

type MarkState = readonly [offset: number, digest: string, now: number];

/** {@link Marks} in a checkpoint. */
export interface MarksState {
  readonly recent: readonly MarkState[];
  readonly sparse: readonly MarkState[];
  readonly first: readonly MarkState[];
}

/** How often the multiple that a place is before can be halved: each doubling keeps its own last places. */
function doublingOf(offset: number): number {
  let place = Math.floor(offset / STEP) + 1;
  let doubling = 0;
  while (place % 2 === 0 && doubling < MAX_DOUBLINGS) {
    place /= 2;
    doubling += 1;
  }
  return doubling;
}
