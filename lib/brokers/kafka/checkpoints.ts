import type { Entropy } from '../../core/ports/entropy.js';
import type { MaybePromise } from '../../core/ports/maybe-promise.js';
import {
  CheckpointAssembly,
  readCommit,
  writeCheckpoint,
  type CheckpointCommit,
} from '../replicated/checkpoint-records.js';
import {
  LogUnavailableError,
  type Checkpoint,
  type CheckpointHead,
  type LogRecord,
} from '../replicated/ordered-log.js';
import type { KafkaCluster } from './cluster.js';
import { Code, messageOf } from './codes.js';
import { fetchRecords } from './fetch.js';
import { partitionBounds } from './partition-bounds.js';
import type { KafkaProducer } from './producer.js';

const IN_SYNC = -1;
/** Records that are looked at in one step back: first the last one, which is a commit unless somebody saves at the moment. */
const FIRST_STEP = 1;
const STEP = 16;

/** Checkpoints in a topic of their own, which has the partitions of the log. */
export class KafkaCheckpoints {
  constructor(
    private readonly cluster: KafkaCluster,
    private readonly producer: KafkaProducer,
    private readonly entropy: Entropy,
    private readonly topic: string,
  ) {}

  async save(partition: number, checkpoint: Checkpoint): Promise<void> {
    await writeCheckpoint(this.entropy.id(), checkpoint, this.cluster.settings.maxRecordBytes, (record) =>
      this.write(partition, record),
    );
  }

  async load(
    partition: number,
    accept: (head: CheckpointHead) => MaybePromise<boolean>,
  ): Promise<Checkpoint | undefined> {
    const { end, first } = await partitionBounds(this.cluster, this.topic, partition);
    for (let [to, step] = [end, FIRST_STEP]; to > first; to -= step, step = STEP) {
      const records = await this.read(partition, Math.max(first, to - step), to);
      for (const { bytes, offset } of records.reverse()) {
        const commit = readCommit(bytes);
        if (commit === undefined || !(await accept(commit.head))) continue;
        const checkpoint = await this.assemble(partition, commit, offset);
        if (checkpoint !== undefined) return checkpoint;
      }
    }
    return undefined;
  }

  private async assemble(
    partition: number,
    commit: CheckpointCommit,
    end: number,
  ): Promise<Checkpoint | undefined> {
    const assembly = new CheckpointAssembly(commit);
    for (let at = commit.firstOffset; !assembly.isComplete && at < end;) {
      const { code, next, records } = await this.fetch(partition, at);
      // The retention took the beginning.
      if (code === Code.offsetOutOfRange || next === at) return undefined;
      for (const { bytes } of records) assembly.add(bytes);
      at = next;
    }
    return assembly.finish();
  }

  /** The records from one offset up to another. */
  private async read(partition: number, from: number, to: number): Promise<LogRecord[]> {
    const found: LogRecord[] = [];
    for (let at = from; at < to;) {
      const { next, records } = await this.fetch(partition, at);
      if (next === at) break;
      found.push(...records.filter(({ offset }) => offset < to));
      at = next;
    }
    return found;
  }

  private async fetch(partition: number, offset: number): ReturnType<typeof fetchRecords> {
    const leader = this.cluster.leader(this.topic, partition);
    if (leader === undefined) throw new LogUnavailableError(`${this.topic} has no leader at the moment`);
    try {
      const { address, epoch, topicId } = leader;
      const connection = await this.cluster.connection(address);
      const query = { topicId, partition, epoch, offset, waitMs: 0 };
      const result = await fetchRecords(this.cluster.driver, connection, query);
      if (result.code === Code.none || result.code === Code.offsetOutOfRange) return result;
      void this.cluster.refresh();
      throw new LogUnavailableError(`Kafka answered with error ${result.code}`);
    } catch (error) {
      if (error instanceof LogUnavailableError) throw error;
      throw new LogUnavailableError(`Kafka did not answer: ${messageOf(error)}`, { cause: error });
    }
  }

  private async write(partition: number, record: Uint8Array): Promise<number> {
    if (this.cluster.isClosed) throw new LogUnavailableError('The log is closed');
    try {
      return await this.producer.produce(this.topic, partition, [record], IN_SYNC);
    } catch (error) {
      throw new LogUnavailableError(`The checkpoint was not stored: ${messageOf(error)}`, { cause: error });
    }
  }
}
