import { Backoff, delay, LaneEnd, type Lane, type SourceRecord } from '../../../consumers/index.js';
import type { ThrottledLog } from '../../../core/async/throttled-log.js';
import type { Entropy } from '../../../core/ports/entropy.js';
import type { KafkaCluster } from '../cluster.js';
import { Code, isUnreadable, messageOf } from '../codes.js';
import { KafkaConnection } from '../connection.js';
import { partitionBounds } from '../partition-bounds.js';
import { boundedFetch } from './bounded-fetch.js';
import { committedRecords, type FoundRecord } from './committed-records.js';
import { OutdatedMembershipError, type KafkaGroup, type Membership } from './group.js';
import type { KafkaTopicRecord } from './record.js';

/** Only what transactions have decided. */
const READ_COMMITTED = 1;
const NO_SESSION_EPOCH = -1;
const NO_EPOCH = -1;
/** How long the broker waits for records, in milliseconds. */
const WAIT_MS = 1_000;
/** Pause before a partition whose leader is not known is asked once more. */
const RETRY_MS = 200;

export interface PartitionLaneDeps {
  readonly cluster: KafkaCluster;
  readonly entropy: Pick<Entropy, 'random'>;
  readonly group: KafkaGroup;
  readonly membership: Membership;
  readonly journal: ThrottledLog;
  /** For logs. */
  readonly consumer: string;
  readonly topic: string;
  readonly topicId: string;
  readonly maxBatch: number;
  readonly maxBatchBytes: number;
  /** The beginning of the ids of its events. */
  readonly ids: string;
}

/** One partition while it is this member's. Reads on a connection of its own: what waits for records holds up nothing else. */
export class PartitionLane implements Lane<KafkaTopicRecord> {
  readonly name: string;
  readonly end: LaneEnd;
  private readonly backoff: Backoff;
  private readonly fetchRecords: ReturnType<typeof boundedFetch>;
  private connection: KafkaConnection | undefined;
  /** Records that were read and not handed on. */
  private ready: FoundRecord[] = [];
  /** Offset that is read next. */
  private position: number;
  private committed: number;
  private highest: number | undefined;
  /** Why it cannot be read now. */
  trouble: string | undefined;

  constructor(
    private readonly partition: number,
    from: number,
    private readonly deps: PartitionLaneDeps,
    session: AbortSignal,
  ) {
    this.name = `partition ${partition} of ${deps.topic}`;
    this.position = from;
    this.committed = from;
    this.end = new LaneEnd(session);
    this.backoff = new Backoff(deps.cluster.clock, deps.entropy);
    this.fetchRecords = boundedFetch(deps.cluster.driver);
    // What waits for records ends too.
    this.signal.addEventListener('abort', () => this.connection?.destroy(), { once: true });
  }

  get signal(): AbortSignal {
    return this.end.signal;
  }

  /** Records behind what was committed; `undefined` before the first answer. */
  get lag(): number | undefined {
    return this.highest === undefined ? undefined : Math.max(0, this.highest - this.committed);
  }

  isHeld(): boolean {
    return this.deps.group.isHeld;
  }

  async next(): Promise<readonly SourceRecord<KafkaTopicRecord>[]> {
    if (this.ready.length === 0) await this.fetch();
    const { maxBatch } = this.deps;
    const taken = this.ready.slice(0, maxBatch);
    this.ready = this.ready.slice(maxBatch);
    return taken.map((found) => this.recordOf(found));
  }

  async commit({ raw }: SourceRecord<KafkaTopicRecord>): Promise<void> {
    const { group, membership } = this.deps;
    try {
      await group.commit(membership, this.partition, raw.offset + 1);
      this.committed = raw.offset + 1;
    } catch (error) {
      if (error instanceof OutdatedMembershipError) this.end.end();
      throw error;
    }
  }

  private async fetch(): Promise<void> {
    const { cluster, maxBatchBytes, topic, topicId } = this.deps;
    const leader = cluster.leader(topic, this.partition);
    if (leader === undefined) return this.lookAgain('it has no leader');
    if (leader.topicId !== topicId) throw new Error(`The topic ${topic} is another one than before`);
    const wanted = {
      partition: this.partition,
      currentLeaderEpoch: leader.epoch,
      fetchOffset: BigInt(this.position),
      lastFetchedEpoch: NO_EPOCH,
      partitionMaxBytes: maxBatchBytes,
    };
    let answer;
    try {
      if (this.connection?.isOpen !== true)
        this.connection = await KafkaConnection.open(
          cluster.driver,
          leader.address,
          cluster.settings,
          WAIT_MS + cluster.settings.requestTimeoutMs,
        );
      if (this.signal.aborted) return this.connection.destroy();
      answer = await this.connection.call(
        this.fetchRecords,
        WAIT_MS,
        1,
        maxBatchBytes,
        READ_COMMITTED,
        0,
        NO_SESSION_EPOCH,
        [{ topicId, partitions: [wanted] }],
        [],
        '',
      );
    } catch (error) {
      return isUnreadable(error) ? this.waitLonger(messageOf(error)) : this.lookAgain(messageOf(error));
    }
    const found = answer.responses[0]?.partitions[0];
    const code = answer.errorCode === Code.none ? (found?.errorCode ?? Code.none) : answer.errorCode;
    if (code === Code.offsetOutOfRange) return this.jump();
    if (code !== Code.none || found === undefined)
      return this.lookAgain(`its leader answers with error ${code}`);
    this.trouble = undefined;
    this.backoff.reset();
    const batches = found.records ?? [];
    this.ready = committedRecords(batches, found.abortedTransactions ?? [], this.position);
    const last = batches.at(-1);
    if (last !== undefined)
      this.position = Math.max(this.position, Number(last.firstOffset) + last.lastOffsetDelta + 1);
    this.highest = Number(found.highWatermark);
    // All before was committed. Ends of transactions and what was taken back are no records that one would be of.
    if (this.ready.length === 0) this.committed = this.position;
  }

  /** The leader is another one, or away. */
  private async lookAgain(reason: string): Promise<void> {
    const { cluster } = this.deps;
    if (!this.report(reason)) return;
    const pause = delay(cluster.clock, RETRY_MS, this.signal);
    const look = new LaneEnd(this.signal);
    await Promise.race([
      cluster.refresh(),
      delay(cluster.clock, cluster.settings.requestTimeoutMs, look.signal),
    ]);
    // Otherwise each look would leave its timer and its listener.
    look.end();
    await pause;
  }

  /** The records came, and it may be long until they can be read: each attempt costs as much as all of them. */
  private async waitLonger(reason: string): Promise<void> {
    const isOpen = this.report(
      `records from ${this.position} on are damaged, or compressed in a form that is not read (${reason}): docs/consumers.md says ` +
        'what to do',
    );
    if (isOpen) await this.backoff.pause(this.signal);
  }

  /** @returns whether it is this member's still */
  private report(reason: string): boolean {
    const { consumer, journal } = this.deps;
    this.connection?.destroy();
    if (this.signal.aborted) return false;
    this.trouble = `${this.name} cannot be read: ${reason}`;
    journal.warn('fetch', () => `Consumer ${consumer}: ${this.trouble}. It is tried again.`);
    return true;
  }

  /** The log does not have the position. */
  private async jump(): Promise<void> {
    const { cluster, consumer, journal, topic } = this.deps;
    const { position } = this;
    const { end, first } = await partitionBounds(cluster, topic, this.partition);
    if (position >= first && position <= end) return;
    this.position = position < first ? first : end;
    const why =
      position < first
        ? 'Records were deleted before they were read: keep them for longer.'
        : 'The log was cut.';
    journal.error(
      'jump',
      () =>
        `Consumer ${consumer}: ${this.name} has ${first} to ${end}, and ${position} was to be read next: it continues at ` +
        `${this.position}. ${why}`,
    );
  }

  private recordOf({ offset, record, timestampMs }: FoundRecord): SourceRecord<KafkaTopicRecord> {
    const { ids, topic } = this.deps;
    const { partition } = this;
    const { headers, key, value } = record;
    const named = headers.map(([name, text]) => [name?.toString() ?? '', text ?? Buffer.alloc(0)] as const);
    return {
      raw: { topic, partition, offset, timestampMs, key, value, headers: new Map(named) },
      id: `${ids}:${partition}:${offset}`,
      place: `${topic}/${partition}@${offset}`,
    };
  }
}
