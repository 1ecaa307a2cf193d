import type { MaybePromise } from '../../core/ports/maybe-promise.js';
import { AppendGate, assertPartition } from '../replicated/append-gate.js';
import type { LogDeps } from '../replicated/log-deps.js';
import {
  type AppendResult,
  type Checkpoint,
  type CheckpointHead,
  type LogBounds,
  type LogState,
  type LogWeakness,
  type OrderedLog,
  type Reading,
  type ReadingEvents,
  type ReadPosition,
} from '../replicated/ordered-log.js';
import { KafkaCheckpoints } from './checkpoints.js';
import { KafkaCluster } from './cluster.js';
import { loadKafka } from './driver.js';
import { kafkaSettings, type KafkaLogOptions } from './options.js';
import { partitionBounds } from './partition-bounds.js';
import { KafkaProducer } from './producer.js';
import { KafkaReading } from './reading.js';
import { KafkaSignals } from './signals.js';
import { prepareTopics, topicNames, type PreparedTopics } from './topics.js';

const IN_SYNC = -1;

/**
 * Opens a log in Kafka: connects, makes or checks the topics.
 *
 * @throws LogSetupError with the remedy: no connection, topics that cannot be made or do not fit
 * @throws RangeError for an option that is not valid
 * @example
 * const log = await openKafkaLog({ brokers: ['kafka.internal:9092'], sasl, tls: {} }, { clock, entropy });
 */
export async function openKafkaLog(options: KafkaLogOptions, deps: LogDeps): Promise<OrderedLog> {
  const settings = kafkaSettings(options);
  const names = topicNames(settings.topic);
  const cluster = await KafkaCluster.open(await loadKafka(), settings, deps, Object.values(names));
  try {
    return new KafkaLog(cluster, deps, await prepareTopics(cluster, deps));
  } catch (error) {
    cluster.close();
    throw error;
  }
}

class KafkaLog implements OrderedLog {
  readonly name = 'kafka';
  readonly detectsCuts = 'log';
  readonly firstOffset = 0;
  readonly acknowledgedCopies: number;
  readonly weaknesses: readonly LogWeakness[];
  private readonly names: ReturnType<typeof topicNames>;
  private readonly gate: AppendGate;
  private readonly producer: KafkaProducer;
  private readonly checkpoints: KafkaCheckpoints;
  private readonly signals: KafkaSignals;
  private readonly readings = new Set<KafkaReading>();

  constructor(
    private readonly cluster: KafkaCluster,
    { entropy }: LogDeps,
    { minInsyncReplicas, weaknesses }: PreparedTopics,
  ) {
    this.acknowledgedCopies = minInsyncReplicas;
    this.weaknesses = weaknesses;
    this.names = topicNames(cluster.settings.topic);
    this.gate = new AppendGate(this, cluster);
    this.producer = new KafkaProducer(cluster);
    this.checkpoints = new KafkaCheckpoints(cluster, this.producer, entropy, this.names.checkpoints);
    this.signals = new KafkaSignals(cluster, this.producer, this.names.signals);
  }

  get partitions(): number {
    return this.cluster.settings.partitions;
  }

  get maxRecordBytes(): number {
    return this.cluster.settings.maxRecordBytes;
  }

  get connected(): boolean {
    return this.cluster.connected;
  }

  get session(): number {
    return this.cluster.session;
  }

  onState(listener: (state: LogState) => void): () => void {
    return this.cluster.onState(listener);
  }

  append(partition: number, bytes: Uint8Array, session: number): Promise<AppendResult> {
    return this.gate.run(partition, bytes, session, async () => ({
      offset: await this.producer.produce(this.names.log, partition, [bytes], IN_SYNC),
    }));
  }

  consume(partition: number, from: ReadPosition, events: ReadingEvents): Reading {
    assertPartition(partition, this.partitions);
    const reading: KafkaReading = new KafkaReading(
      this.cluster,
      this.names.log,
      partition,
      from,
      events,
      () => this.readings.delete(reading),
    );
    this.readings.add(reading);
    if (this.cluster.isClosed) reading.close();
    return reading;
  }

  async bounds(partition: number): Promise<LogBounds> {
    assertPartition(partition, this.partitions);
    return partitionBounds(this.cluster, this.names.log, partition);
  }

  async saveCheckpoint(partition: number, checkpoint: Checkpoint): Promise<void> {
    assertPartition(partition, this.partitions);
    return this.checkpoints.save(partition, checkpoint);
  }

  async loadCheckpoint(
    partition: number,
    accept: (head: CheckpointHead) => MaybePromise<boolean> = () => true,
  ): Promise<Checkpoint | undefined> {
    assertPartition(partition, this.partitions);
    return this.checkpoints.load(partition, accept);
  }

  signal(bytes: Uint8Array): Promise<void> {
    return this.signals.send(bytes);
  }

  onSignal(listener: (bytes: Uint8Array) => void): Promise<() => void> {
    return this.signals.listen(listener);
  }

  async close(): Promise<void> {
    this.gate.close();
    for (const reading of [...this.readings]) reading.close();
    this.signals.close();
    this.cluster.close();
  }
}
