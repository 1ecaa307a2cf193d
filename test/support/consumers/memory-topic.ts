import {
  LaneEnd,
  type Lane,
  type LaneWork,
  type RecordSource,
  type SourceRecord,
} from '../../../lib/consumers/index.js';
import type { NodeLife } from './node-life.js';

/** A record of {@link MemoryTopic}. */
export interface MemoryRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly value: string;
}

/** A topic in memory: partitions, what was committed of each, and who has it. A commit of who has it no longer is refused. */
export class MemoryTopic {
  /** Offsets that are read next. */
  readonly committed: number[];
  /** Most records of one batch. */
  batch = 4;
  /** What a session of a source fails with, once each. */
  readonly failures: Error[] = [];
  /** What commits of a partition fail with, once each. */
  readonly commitFailures = new Map<number, Error>();
  private readonly records: MemoryRecord[][];
  private readonly generations: number[];
  private readonly waiting = new Set<() => void>();

  constructor(partitions: number) {
    this.records = Array.from({ length: partitions }, () => []);
    this.committed = this.records.map(() => 0);
    this.generations = this.records.map(() => 0);
  }

  add(partition: number, key: string, value: string): void {
    const list = this.records[partition] ?? [];
    list.push({ partition, offset: list.length, key, value });
    for (const wake of [...this.waiting]) wake();
  }

  get lag(): number {
    return this.records.reduce((sum, list, index) => sum + list.length - (this.committed[index] ?? 0), 0);
  }

  /** Takes partitions away from whoever has them. @returns lanes of the next owner */
  take(partitions: readonly number[], life: NodeLife, session: AbortSignal): readonly MemoryLane[] {
    return partitions.map((partition) => {
      const generation = (this.generations[partition] ?? 0) + 1;
      this.generations[partition] = generation;
      return new MemoryLane(this, partition, generation, life, session);
    });
  }

  source(life: NodeLife, partitions: readonly number[] = [...this.records.keys()]): MemorySource {
    return new MemorySource(this, life, partitions);
  }

  read(partition: number, from: number): readonly MemoryRecord[] {
    return (this.records[partition] ?? []).slice(from, from + this.batch);
  }

  commit(partition: number, generation: number, next: number): void {
    const failure = this.commitFailures.get(partition);
    this.commitFailures.delete(partition);
    if (failure !== undefined) throw failure;
    if (this.generations[partition] !== generation) throw new Error('the partition is another owner’s');
    this.committed[partition] = next;
  }

  /** Until something is added, or the signal. */
  more(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      if (signal.aborted) return resolve();
      this.waiting.add(wake);
      signal.addEventListener('abort', wake);
    });
  }
}

export class MemoryLane implements Lane<MemoryRecord> {
  readonly name: string;
  readonly end: LaneEnd;
  trouble: string | undefined;
  /** What it says of itself: whether it is this node's for sure. */
  held = true;
  private position: number;

  constructor(
    private readonly topic: MemoryTopic,
    private readonly partition: number,
    private readonly generation: number,
    private readonly life: NodeLife,
    session: AbortSignal,
  ) {
    this.name = `partition ${partition}`;
    this.position = topic.committed[partition] ?? 0;
    this.end = new LaneEnd(session);
  }

  get signal(): AbortSignal {
    return this.end.signal;
  }

  isHeld(): boolean {
    return this.held;
  }

  async next(): Promise<readonly SourceRecord<MemoryRecord>[]> {
    await this.life.step('read');
    const found = this.topic.read(this.partition, this.position);
    if (found.length === 0) {
      await this.topic.more(this.signal);
      return [];
    }
    this.position += found.length;
    return found.map((raw) => ({
      raw,
      id: `m:${raw.partition}:${raw.offset}`,
      place: `m/${raw.partition}@${raw.offset}`,
    }));
  }

  async commit({ raw }: SourceRecord<MemoryRecord>): Promise<void> {
    await this.life.step('before commit');
    this.topic.commit(this.partition, this.generation, raw.offset + 1);
    await this.life.step('after commit');
  }
}

export class MemorySource implements RecordSource<MemoryRecord> {
  lanes: readonly MemoryLane[] = [];
  sessions = 0;
  /** Those of them that are over. */
  ended = 0;

  constructor(
    private readonly topic: MemoryTopic,
    private readonly life: NodeLife,
    private readonly partitions: readonly number[],
  ) {}

  lag(): number | undefined {
    return this.sessions === 0 ? undefined : this.topic.lag;
  }

  async run(work: LaneWork<MemoryRecord>, signal: AbortSignal): Promise<void> {
    this.sessions += 1;
    const failure = this.topic.failures.shift();
    if (failure !== undefined) throw failure;
    this.lanes = this.topic.take(this.partitions, this.life, signal);
    work.onReady();
    try {
      await Promise.all(this.lanes.map((lane) => work.follow(lane)));
    } finally {
      for (const lane of this.lanes) lane.end.end();
      this.ended += 1;
    }
  }
}
