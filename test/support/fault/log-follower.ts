import { Partition } from '../../../lib/brokers/machine/partition.js';
import { readCommand } from '../../../lib/brokers/machine/read-command.js';
import { partitionOf } from '../../../lib/brokers/replicated/commander.js';
import type { LogRecord, OrderedLog, Reading } from '../../../lib/brokers/replicated/ordered-log.js';
import { decodeRecord } from '../../../lib/brokers/replicated/record-codec.js';
import { patience } from '../patience.js';
import { until } from '../until.js';
import type { FinalLog } from './history-types.js';

const PATIENCE_MS = patience(20_000);

/**
 * Reads an ordered log from its first record on, without a checkpoint and past the nodes: what a state that is made of all its records
 * says about the channels is what the checker judges.
 */
export class LogFollower {
  private constructor(
    private readonly log: OrderedLog,
    private readonly followed: readonly Followed[],
  ) {}

  static async open(openLog: () => Promise<OrderedLog>): Promise<LogFollower> {
    const log = await openLog();
    const followed = Array.from({ length: log.partitions }, (_, index) => new Followed(log, index));
    for (const one of followed) await one.begin();
    return new LogFollower(log, followed);
  }

  /** The logs of channels as they are now. */
  async read(channels: readonly string[]): Promise<readonly FinalLog[]> {
    for (const one of this.followed) await one.catchUp();
    return channels.map((channel) => {
      const machine = this.followed[partitionOf(channel, this.followed.length)]?.state?.machine;
      if (machine === undefined) return { channel, position: { epoch: '', seq: 0 }, events: [] };
      const { tip, events } = machine.read({ channel, from: 1, limit: 1_000_000 });
      return { channel, position: tip, events: events.map(({ seq, id }) => ({ seq, id })) };
    });
  }

  async close(): Promise<void> {
    for (const one of this.followed) one.close();
    await this.log.close();
  }
}

class Followed {
  state: Partition | undefined;
  private reading: Reading | undefined;
  private next = 0;
  private failure: string | undefined;
  /** What stands before the genesis. */
  private early: LogRecord[] = [];

  constructor(
    private readonly log: OrderedLog,
    private readonly index: number,
  ) {}

  async begin(): Promise<void> {
    const { first, incarnation } = await this.log.bounds(this.index);
    if (first > this.log.firstOffset)
      throw new Error(`Partition ${this.index} has dropped its beginning: its records cannot be judged`);
    this.reading = this.log.consume(
      this.index,
      { incarnation, offset: first, term: 0 },
      {
        onRecords: (records) => records.forEach((record) => this.apply(record)),
        onEnd: (end) => (this.failure = end.kind),
      },
    );
  }

  async catchUp(): Promise<void> {
    const { end } = await this.log.bounds(this.index);
    await until(
      `the records of partition ${this.index} to be read`,
      () => {
        if (this.failure !== undefined) throw new Error(`The reading has ended: ${this.failure}`);
        return this.next >= end;
      },
      PATIENCE_MS,
    );
  }

  close(): void {
    this.reading?.close();
  }

  private apply(record: LogRecord): void {
    this.next = record.offset + 1;
    const content = decodeRecord(record.bytes);
    if (this.state === undefined) {
      this.early.push(record);
      const genesis = readCommand(content?.commands[0]);
      if (genesis?.kind !== 'genesis' || genesis.incarnation !== content?.incarnation) return;
      this.state = new Partition(genesis);
      const { early } = this;
      this.early = [];
      for (const one of early)
        this.state.apply({ ...one, content: decodeRecord(one.bytes) }, performance.now());
      return;
    }
    this.state.apply({ ...record, content }, performance.now());
  }
}
