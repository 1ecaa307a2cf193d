import {
  assertBeginning,
  assertOptions,
  consumeSettings,
  consumerOf,
  delay,
  idPrefix,
  type ConsumeOptions,
  type ConsumeSettings,
  type LaneWork,
  type OwnOptions,
  type RecordSource,
} from '../../../consumers/index.js';
import type { ThrottledLog } from '../../../core/async/throttled-log.js';
import type { ConsumerSite, RealtimeConsumer } from '../../../core/ports/consumers.js';
import { optionErrorOf } from '../../../protocol/validation/option-error.js';
import { KafkaCluster } from '../cluster.js';
import { loadKafka } from '../driver.js';
import { kafkaSettings, type KafkaLogOptions, type KafkaLogSettings } from '../options.js';
import { partitionBounds } from '../partition-bounds.js';
import { KafkaGroup, type Membership } from './group.js';
import { PartitionLane } from './partition-lane.js';
import type { KafkaTopicRecord } from './record.js';

/** Where the topic is: as of `kafkaBroker()`, whose meanings and defaults these have. */
type KafkaConnectionOptions = Pick<
  KafkaLogOptions,
  'brokers' | 'clientId' | 'tls' | 'sasl' | 'connectTimeoutMs' | 'requestTimeoutMs'
>;

/** Options of {@link fromKafka}. */
export interface FromKafkaOptions extends KafkaConnectionOptions, ConsumeOptions<KafkaTopicRecord> {
  /** Name of the topic. It must exist. */
  readonly topic: string;
  /** Name of the consumer group, of this application alone: all of its nodes share it, and each partition is one node's at a time. */
  readonly groupId: string;
  /** Where a partition begins of which nothing was committed: at its first record, or behind the last. Default `'first'`. */
  readonly from?: 'first' | 'next' | undefined;
}

const OWN: OwnOptions<FromKafkaOptions> = {
  brokers: { kind: 'texts', required: 'Give the addresses `host:port` of one or more brokers' },
  topic: { kind: 'text', required: 'Name the topic that is read' },
  groupId: { kind: 'text', required: 'Name a consumer group of this application alone' },
  from: {},
  clientId: {},
  tls: {},
  sasl: {},
  connectTimeoutMs: {},
  requestTimeoutMs: {},
};

/** How long what is under way may take when the partitions are divided anew, in milliseconds. */
const FINISH_MS = 5_000;
/** Part of the time after which a silent member is replaced. */
const HEARTBEAT_PART = 0.2;
/** Heartbeats between two looks for partitions that were added. */
const LOOK_EVERY = 20;

/**
 * Makes events of the records of a topic, each once and in the order of its partition, for the option `consumers` of the module. An offset
 * is committed when the events up to it are acknowledged. Needs the package `@platformatic/kafka`, and Kafka 3.1 or newer.
 *
 * @example
 * RealtimeModule.forRoot({
 *   consumers: [
 *     fromKafka({
 *       brokers: 'kafka:9092',
 *       topic: 'orders',
 *       groupId: 'realtime',
 *       to: ({ key, value }) => ({ channel: `orders.${key}`, event: 'order.changed', payload: JSON.parse(`${value}`) }),
 *     }),
 *   ],
 * });
 * @throws RangeError for an option that cannot be or is missing, and for a name that is none; it names the option and the remedy.
 * @publicApi
 */
export function fromKafka(options: FromKafkaOptions): RealtimeConsumer {
  const optionError = optionErrorOf('fromKafka');
  assertOptions(options, 'fromKafka', OWN);
  const {
    brokers,
    clientId,
    tls,
    sasl,
    connectTimeoutMs,
    requestTimeoutMs,
    topic,
    groupId,
    from = 'first',
  } = options;
  if (!/^[^\p{C}]{1,255}$/u.test(groupId))
    throw optionError('groupId', 'must have 1 to 255 characters that print');
  assertBeginning(from, optionError);
  const kafka = kafkaSettings(
    {
      ...{ brokers, clientId, tls, sasl, topic },
      ...(connectTimeoutMs !== undefined && { connectTimeoutMs }),
      ...(requestTimeoutMs !== undefined && { requestTimeoutMs }),
    },
    'fromKafka',
  );
  const settings = consumeSettings(options, 'fromKafka', `kafka ${topic} ${groupId}`);
  return consumerOf(
    settings,
    (site, journal) => new KafkaTopic(kafka, { groupId, from }, settings, site, journal),
    kafka.brokers.map(({ host, port }) => ({
      server: `kafka ${host}:${port}`,
      what: `the topic ${topic} with the group ${groupId}`,
    })),
  );
}

/** Reads the partitions of a topic that the group gives this node. */
class KafkaTopic implements RecordSource<KafkaTopicRecord> {
  private lanes: readonly PartitionLane[] = [];
  private hasPlace = false;
  /** The name that a session left behind in the group. */
  private memberId = '';

  constructor(
    private readonly kafka: KafkaLogSettings,
    private readonly wanted: { readonly groupId: string; readonly from: 'first' | 'next' },
    private readonly settings: ConsumeSettings<KafkaTopicRecord>,
    private readonly site: ConsumerSite,
    private readonly journal: ThrottledLog,
  ) {}

  lag(): number | undefined {
    const lags = this.lanes.map(({ lag }) => lag);
    return !this.hasPlace || lags.includes(undefined)
      ? undefined
      : lags.reduce<number>((sum, lag) => sum + (lag ?? 0), 0);
  }

  async run(work: LaneWork<KafkaTopicRecord>, signal: AbortSignal): Promise<void> {
    const { kafka, settings, site, wanted } = this;
    const cluster = await KafkaCluster.open(await loadKafka(undefined, 'fromKafka'), kafka, site, [
      kafka.topic,
    ]);
    const group = new KafkaGroup(cluster, wanted.groupId, kafka.topic, this.memberId, settings.takeOverMs);
    try {
      while (!signal.aborted) {
        await this.serve(cluster, group, await this.join(group, signal), work, signal);
      }
    } finally {
      await group.leave();
      this.memberId = group.name;
      this.hasPlace = false;
      this.lanes = [];
      group.close();
      cluster.close();
    }
  }

  /** Takes a place. Others may keep it waiting, but not beyond the end of this node. */
  private async join(group: KafkaGroup, signal: AbortSignal): Promise<Membership> {
    const end = (): void => group.endJoin();
    signal.addEventListener('abort', end, { once: true });
    try {
      return await group.join();
    } finally {
      signal.removeEventListener('abort', end);
    }
  }

  /** Reads until the partitions are divided anew. */
  private async serve(
    cluster: KafkaCluster,
    group: KafkaGroup,
    membership: Membership,
    work: LaneWork<KafkaTopicRecord>,
    signal: AbortSignal,
  ): Promise<void> {
    const session = new AbortController();
    const end = (): void => session.abort();
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    let following: readonly Promise<void>[] = [];
    try {
      this.lanes = await this.lanesOf(cluster, group, membership, session.signal);
      this.hasPlace = true;
      work.onReady();
      following = this.lanes.map((lane) => work.follow(lane));
      const beating = this.keepPlace(cluster, group, membership, session.signal);
      // A lane that ends is its partition's end; one that fails ends all.
      const failed = new Promise<never>((_, reject) => following.forEach((lane) => void lane.catch(reject)));
      await Promise.race([beating, failed]);
    } finally {
      signal.removeEventListener('abort', end);
      end();
      const over = new AbortController();
      const ended = Promise.allSettled(following).then(() => over.abort());
      await Promise.race([ended, delay(this.site.clock, FINISH_MS, over.signal)]);
    }
  }

  /** Resolves when the place is no more, or the signal comes. */
  private async keepPlace(
    cluster: KafkaCluster,
    group: KafkaGroup,
    membership: Membership,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock } = this.site;
    const count = (): number | undefined => cluster.topic(this.kafka.topic)?.partitions.length;
    const before = count();
    for (let beats = 1; !signal.aborted; beats++) {
      await delay(clock, this.settings.takeOverMs * HEARTBEAT_PART, signal);
      if (signal.aborted || !(await group.heartbeat(membership))) return;
      if (beats % LOOK_EVERY !== 0) continue;
      await cluster.refresh();
      // Added ones are divided when a member joins once more.
      if ((count() ?? before) !== before) return;
    }
  }

  private async lanesOf(
    cluster: KafkaCluster,
    group: KafkaGroup,
    membership: Membership,
    signal: AbortSignal,
  ): Promise<readonly PartitionLane[]> {
    const { journal, settings, site, wanted } = this;
    const { entropy } = site;
    const { topic } = this.kafka;
    const topicId = cluster.topic(topic)?.topicId;
    if (topicId === undefined)
      throw new Error(
        `The topic ${topic} is missing, or this client may not describe it. Make it, or allow DESCRIBE and READ`,
      );
    const { maxBatch, maxBatchBytes, name: consumer } = settings;
    const ids = idPrefix('kafka', topicId, wanted.groupId);
    const committed = await group.committed(membership.partitions);
    return Promise.all(
      membership.partitions.map(async (partition) => {
        const from = committed.get(partition) ?? (await this.begin(cluster, group, membership, partition));
        const deps = {
          cluster,
          entropy,
          group,
          membership,
          journal,
          consumer,
          topic,
          topicId,
          maxBatch,
          maxBatchBytes,
          ids,
        };
        return new PartitionLane(partition, from, deps, signal);
      }),
    );
  }

  /** Where a partition begins of which nothing was committed. */
  private async begin(
    cluster: KafkaCluster,
    group: KafkaGroup,
    membership: Membership,
    partition: number,
  ): Promise<number> {
    const { first, end } = await partitionBounds(cluster, this.kafka.topic, partition);
    if (this.wanted.from === 'first') return first;
    // At once: what comes before the first record is published would be passed over by the next owner.
    await group.commit(membership, partition, end);
    return end;
  }
}
