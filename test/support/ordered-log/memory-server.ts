import type { Checkpoint, LogBounds, LogRecord } from '../../../lib/brokers/replicated/ordered-log.js';
import type { Clock } from '../../../lib/core/ports/clock.js';
import { SeededEntropy } from '../engine/seeded-entropy.js';
import { MemoryOrderedLog } from './memory-log.js';

/** What happens to one append. */
export type AppendFate =
  /** Stored and acknowledged. */
  | 'stored'
  /** Not stored, and the log says so. */
  | 'refused'
  /** Not stored, and nobody says so. */
  | 'lost'
  /** Stored, and nobody says so. */
  | 'unanswered'
  /** Nobody answers; stored behind what is appended later. */
  | 'late'
  /** Stored and acknowledged, and stored once more behind what is appended later: a retry of the client that was not needed. */
  | 'doubled';

/** How often each fate but `stored` is drawn, from 0 to 1; together at most 1. */
export type AppendWeather = Readonly<Partial<Record<Exclude<AppendFate, 'stored'>, number>>>;

/** What a memory log is made with. */
export interface MemoryLogOptions {
  readonly clock: Clock;
  /** Default 1. */
  readonly seed?: number;
  /** Default 2. */
  readonly partitions?: number;
  /** Default `log`. */
  readonly detectsCuts?: 'log' | 'readers';
  /** Default 65,536. */
  readonly maxRecordBytes?: number;
  /** How long a client waits for an answer, by `clock`. Default 1,000. */
  readonly requestTimeoutMs?: number;
}

/** A partition as the server keeps it. */
export class MemoryPartition {
  readonly records: LogRecord[] = [];
  readonly checkpoints: Checkpoint[] = [];
  first = 0;
  end = 0;
  term = 1;
  /** Where each term begins, ascending. */
  readonly starts: { readonly term: number; readonly offset: number }[] = [{ term: 1, offset: 0 }];

  constructor(readonly incarnation: string) {}

  bounds(): LogBounds {
    return { first: this.first, end: this.end, incarnation: this.incarnation };
  }

  add(bytes: Uint8Array, timeMs: number, term: number): number {
    const offset = this.end++;
    this.records.push({ offset, timeMs, term, bytes: bytes.slice() });
    return offset;
  }

  /** Where the records of `term` end: the begin of the next one, or the end of the log. */
  endOf(term: number): number {
    return this.starts.find((start) => start.term > term)?.offset ?? this.end;
  }

  read(from: number, count: number): LogRecord[] {
    const index = from - this.first;
    return this.records.slice(index, index + count);
  }
}

/**
 * An ordered log in memory, with every fault that a real one has: the server, which outlives its clients. All chances come from its seed.
 *
 * @example
 * const server = new MemoryLogServer({ clock, seed: 7 });
 * const log = server.open();
 * server.nextAppends('late', 'stored');
 * server.cut(0, 20);
 */
export class MemoryLogServer {
  readonly entropy: SeededEntropy;
  readonly clients = new Set<MemoryOrderedLog>();
  readonly options: Required<MemoryLogOptions>;
  /** Whether the server answers; what it is sent while it does not is done when it does again. */
  paused = false;
  /** Milliseconds until a reader gets what was stored, and a writer its answer: drawn for each from this span. */
  delay: readonly [min: number, max: number] = [0, 0];
  /** Largest batch that a reader gets; the size of each is drawn. */
  maxBatch = 8;
  private partitions: (MemoryPartition | undefined)[];
  private readonly fates: AppendFate[] = [];
  private weather: AppendWeather = {};
  /** Bytes that are stored behind later appends, by partition. */
  private readonly late = new Map<number, Uint8Array[]>();
  private readonly whenResumed: (() => void)[] = [];
  private skewMs = 0;
  private lives = 0;

  constructor(options: MemoryLogOptions) {
    this.options = {
      seed: 1,
      partitions: 2,
      detectsCuts: 'log',
      maxRecordBytes: 65_536,
      requestTimeoutMs: 1_000,
      ...options,
    };
    this.entropy = new SeededEntropy(this.options.seed);
    this.partitions = Array.from({ length: this.options.partitions }, () => this.newPartition());
  }

  /** Connects another client. */
  open(): MemoryOrderedLog {
    const client = new MemoryOrderedLog(this);
    this.clients.add(client);
    return client;
  }

  partition(index: number): MemoryPartition | undefined {
    return this.partitions[index];
  }

  // Faults

  /** What happens to the appends that come next, in turn; after them the weather decides. */
  nextAppends(...fates: AppendFate[]): void {
    this.fates.push(...fates);
  }

  setWeather(weather: AppendWeather): void {
    this.weather = weather;
  }

  /** Loses all records at or behind `offset`. Where the readers find cuts all clients lose their connection first, as with a real one. */
  cut(index: number, offset: number): void {
    const partition = this.mustHave(index);
    if (this.options.detectsCuts === 'readers') this.disconnectAll('the server lost its end');
    if (offset < partition.first || offset > partition.end)
      throw new RangeError(`${offset} is not in the log`);
    partition.records.length = offset - partition.first;
    partition.end = offset;
    while ((partition.starts.at(-1)?.offset ?? 0) > offset) partition.starts.pop();
    this.changeTerm(index);
  }

  /** Another leader, which has everything. */
  changeTerm(index: number): void {
    const partition = this.mustHave(index);
    partition.starts.push({ term: ++partition.term, offset: partition.end });
    this.wake(index);
  }

  /** Drops the records below `first`, as a retention does. */
  trim(index: number, first: number): void {
    const partition = this.mustHave(index);
    if (first < partition.first || first > partition.end) throw new RangeError(`${first} is not in the log`);
    partition.records.splice(0, first - partition.first);
    partition.first = first;
    this.wake(index);
  }

  /** Deletes all partitions. */
  delete(): void {
    this.partitions.fill(undefined);
    this.late.clear();
    this.wakeAll();
  }

  /** Knows nothing of its partitions, as one that starts may do for a while. @returns lets it know them again */
  forget(): () => void {
    const { partitions } = this;
    this.partitions = partitions.map(() => undefined);
    this.wakeAll();
    return () => {
      this.partitions = partitions;
      this.wakeAll();
    };
  }

  /** Deletes all partitions and makes them again, empty and with other incarnations. */
  recreate(): void {
    this.delete();
    this.partitions = this.partitions.map(() => this.newPartition());
    this.wakeAll();
  }

  /** Moves the clock of the server against the clients' by `ms`. */
  jumpClock(ms: number): void {
    this.skewMs += ms;
  }

  disconnectAll(reason: string): void {
    for (const client of this.clients) client.disconnect(reason);
  }

  reconnectAll(): void {
    for (const client of this.clients) client.reconnect();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    for (const task of this.whenResumed.splice(0)) task();
    this.wakeAll();
  }

  /** Stores what is late now, behind everything. */
  storeLate(): void {
    for (const [index, records] of this.late) {
      for (const bytes of records.splice(0)) this.store(index, bytes);
    }
  }

  /** Loses the newest checkpoint, as one that was not committed or is damaged. */
  damageCheckpoint(index: number): void {
    this.mustHave(index).checkpoints.pop();
  }

  // For the clients

  /** @returns where it was stored and whether that is answered */
  take(index: number, bytes: Uint8Array): { readonly offset: number | undefined; readonly fate: AppendFate } {
    if (this.partitions[index] === undefined) return { offset: undefined, fate: 'refused' };
    const fate = this.drawFate();
    const isStored = fate === 'stored' || fate === 'unanswered' || fate === 'doubled';
    const offset = isStored ? this.store(index, bytes) : undefined;
    const waiting = this.late.get(index) ?? [];
    // One that is late is stored behind a later append, sooner or later.
    if (isStored && waiting.length > 0 && this.entropy.int(2) === 0) {
      this.store(index, waiting.splice(this.entropy.int(waiting.length), 1)[0] ?? bytes);
    }
    if (fate === 'late' || fate === 'doubled') this.late.set(index, [...waiting, bytes.slice()]);
    return { offset, fate };
  }

  /** Runs a task of a client on the server: now, or when it is resumed. */
  whenRunning(task: () => void): void {
    if (this.paused) this.whenResumed.push(task);
    else task();
  }

  drawDelay(): number {
    const [min, max] = this.delay;
    return min + (max > min ? this.entropy.int(max - min + 1) : 0);
  }

  private store(index: number, bytes: Uint8Array): number {
    const partition = this.mustHave(index);
    const term = this.options.detectsCuts === 'log' ? partition.term : 0;
    const offset = partition.add(bytes, this.options.clock.now() + this.skewMs, term);
    this.wake(index);
    return offset;
  }

  private drawFate(): AppendFate {
    const next = this.fates.shift();
    if (next !== undefined) return next;
    let drawn = this.entropy.random();
    for (const [fate, chance] of Object.entries(this.weather)) {
      drawn -= chance;
      if (drawn < 0) return fate as AppendFate;
    }
    return 'stored';
  }

  private newPartition(): MemoryPartition {
    return new MemoryPartition(`life-${this.options.seed}-${++this.lives}`);
  }

  private mustHave(index: number): MemoryPartition {
    const partition = this.partitions[index];
    if (partition === undefined) throw new RangeError(`There is no partition ${index}`);
    return partition;
  }

  private wake(index: number): void {
    for (const client of this.clients) client.wake(index);
  }

  private wakeAll(): void {
    this.partitions.forEach((_, index) => this.wake(index));
  }
}
