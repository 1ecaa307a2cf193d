import type {
  LogBounds,
  LogRecord,
  OrderedLog,
  Reading,
  ReadingEnd,
  ReadPosition,
} from '../../../lib/brokers/replicated/ordered-log.js';

/** Collects what a reading gives. */
export class LogReader {
  readonly records: LogRecord[] = [];
  readonly batches: number[] = [];
  ends: ReadingEnd[] = [];
  /** Set by a test that makes the reader slow: each batch waits for it. */
  hold: Promise<void> | undefined;
  /** Calls that have not returned; more than one breaks the port. */
  running = 0;
  mostRunning = 0;
  readonly reading: Reading;

  constructor(log: OrderedLog, partition: number, from: ReadPosition) {
    this.reading = log.consume(partition, from, {
      onRecords: async (records) => {
        this.mostRunning = Math.max(this.mostRunning, ++this.running);
        this.batches.push(records.length);
        this.records.push(...records);
        await this.hold;
        this.running -= 1;
      },
      onEnd: (end) => this.ends.push(end),
    });
  }

  /** Reads a partition from its beginning. */
  static async fromFirst(log: OrderedLog, partition = 0): Promise<LogReader> {
    return new LogReader(log, partition, beginOf(await log.bounds(partition)));
  }

  get texts(): string[] {
    return this.records.map(({ bytes }) => textOf(bytes));
  }

  /** What every reader must see alike. */
  get facts(): string[] {
    return this.records.map(
      ({ bytes, offset, term, timeMs }) => `${offset} ${timeMs} ${term} ${textOf(bytes)}`,
    );
  }

  get end(): ReadingEnd | undefined {
    return this.ends[0];
  }

  /** Where another reading continues. */
  position(incarnation: string): ReadPosition {
    const last = this.records.at(-1);
    return { incarnation, offset: (last?.offset ?? -1) + 1, term: last?.term ?? 0 };
  }
}

export function beginOf({ first, incarnation }: LogBounds): ReadPosition {
  return { incarnation, offset: first, term: 0 };
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
