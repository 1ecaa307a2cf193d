import type { Clock } from '../ports/clock.js';

/** What waits costs this much more than what it sent: a socket, its request, a place in a line. */
const OVERHEAD_BYTES = 8 * 1024;
/** Classes of lines by their bytes: each holds twice the one before. */
const CLASSES = 32;

/** How waiting ends: with its turn; because its time ran out, or others needed the room; because its client has left. */
export type WaitEnd = 'served' | 'refused' | 'left';

export interface WaitingLinesOptions {
  readonly clock: Clock;
  /** Bound of everything that waits. */
  readonly maxBytes: number;
  /** Longest wait, in milliseconds. */
  readonly maxWaitMs: number;
  /** Called when the last of a line has left it. */
  readonly onLineEnd: (key: string) => void;
}

interface Line {
  readonly key: string;
  bytes: number;
  length: number;
  first: Waiter | undefined;
  last: Waiter | undefined;
}

interface Waiter {
  readonly line: Line;
  readonly owner: object;
  readonly bytes: number;
  readonly until: number;
  readonly settle: (end: WaitEnd) => void;
  before: Waiter | undefined;
  after: Waiter | undefined;
}

/**
 * Work that waits for its turn in a line for each key, the first to come first. Bounded in time and in bytes, in which each counts
 * 8 KiB more than it sent; where there is no room, the last of the line that holds most, within a factor of two, makes it, so
 * that a long line takes nothing from a short one. The caller of `serve` decides whose turn it is. Everything takes constant time.
 */
export class WaitingLines {
  private readonly lines = new Map<string, Line>();
  /** In the order in which their time ends. */
  private readonly waiters = new Set<Waiter>();
  private readonly owners = new Map<object, Waiter>();
  private readonly classes = Array.from({ length: CLASSES }, () => new Set<Line>());
  private total = 0;
  private timer: { cancel(): void } | undefined;

  constructor(private readonly options: WaitingLinesOptions) {}

  /** Bytes that are counted. */
  get bytes(): number {
    return this.total;
  }

  /** How many wait. */
  get size(): number {
    return this.waiters.size;
  }

  /** How many wait in a line. */
  lengthOf(key: string): number {
    return this.lines.get(key)?.length ?? 0;
  }

  /**
   * Waits in the line of a key.
   *
   * @param owner that {@link leave} names.
   * @param bytes that it holds while it waits.
   * @returns `undefined` when there is no room for it.
   */
  join(key: string, owner: object, bytes: number): Promise<WaitEnd> | undefined {
    const cost = bytes + OVERHEAD_BYTES;
    if (this.options.maxWaitMs === 0 || !this.makeRoom(key, cost)) return undefined;
    return new Promise((settle) => {
      const line = this.lines.get(key) ?? this.begin(key);
      const until = this.options.clock.monotonic() + this.options.maxWaitMs;
      const waiter = { line, owner, bytes: cost, until, settle, before: line.last, after: undefined };
      if (line.last === undefined) line.first = waiter;
      else line.last.after = waiter;
      line.last = waiter;
      this.waiters.add(waiter);
      this.owners.set(owner, waiter);
      this.count(line, cost, 1);
      this.timer ??= this.options.clock.schedule(this.options.maxWaitMs, this.onTimer);
    });
  }

  /** It is the turn of the first of a line. @returns `false` when nobody waits there. */
  serve(key: string): boolean {
    const first = this.lines.get(key)?.first;
    if (first === undefined) return false;
    this.end(first, 'served');
    return true;
  }

  /** An owner waits no longer. */
  leave(owner: object): void {
    const waiter = this.owners.get(owner);
    if (waiter !== undefined) this.end(waiter, 'left');
  }

  private begin(key: string): Line {
    const line: Line = { key, bytes: 0, length: 0, first: undefined, last: undefined };
    this.lines.set(key, line);
    return line;
  }

  private makeRoom(key: string, cost: number): boolean {
    const { maxBytes } = this.options;
    while (this.total + cost > maxBytes) {
      const mine = classOf((this.lines.get(key)?.bytes ?? 0) + cost);
      const longest = this.longest();
      if (longest === undefined || classOf(longest.bytes) <= mine) return false;
      this.end(longest.last as Waiter, 'refused');
    }
    return true;
  }

  private longest(): Line | undefined {
    for (let index = CLASSES - 1; index >= 0; index--)
      for (const line of this.classes[index] as Set<Line>) return line;
    return undefined;
  }

  private end(waiter: Waiter, how: WaitEnd): void {
    const { line, before, after, owner } = waiter;
    if (before === undefined) line.first = after;
    else before.after = after;
    if (after === undefined) line.last = before;
    else after.before = before;
    this.waiters.delete(waiter);
    if (this.owners.get(owner) === waiter) this.owners.delete(owner);
    this.count(line, -waiter.bytes, -1);
    waiter.settle(how);
    if (this.waiters.size === 0) {
      this.timer?.cancel();
      this.timer = undefined;
    }
    if (line.first === undefined) this.options.onLineEnd(line.key);
  }

  private count(line: Line, bytes: number, waiters: number): void {
    this.classes[classOf(line.bytes)]?.delete(line);
    line.bytes += bytes;
    this.total += bytes;
    line.length += waiters;
    if (line.length === 0) this.lines.delete(line.key);
    else this.classes[classOf(line.bytes)]?.add(line);
  }

  private readonly onTimer = (): void => {
    this.timer = undefined;
    const now = this.options.clock.monotonic();
    for (const waiter of this.waiters) {
      if (waiter.until > now) {
        this.timer = this.options.clock.schedule(waiter.until - now, this.onTimer);
        return;
      }
      this.end(waiter, 'refused');
    }
  };
}

function classOf(bytes: number): number {
  return bytes <= 0 ? 0 : Math.min(CLASSES - 1, 31 - Math.clz32(Math.ceil(bytes / OVERHEAD_BYTES)));
}
