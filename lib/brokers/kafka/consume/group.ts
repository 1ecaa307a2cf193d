import type { KafkaCluster } from '../cluster.js';
import { Code } from '../codes.js';
import { KafkaConnection } from '../connection.js';
import { decodeAssignment, divide, encodeAssignment, encodeSubscription } from './assignment.js';

/** How long the coordinator waits for members to come back when the partitions are divided anew, in milliseconds. */
const REBALANCE_MS = 10_000;
/** Members that divide in another way are refused by the coordinator. */
const PROTOCOL = 'nestjs-realtime';
const PROTOCOL_TYPE = 'consumer';
const GROUP_KEY = 0;
const NO_EPOCH = -1;

/** What the coordinator answers to a member whose place is not the one that it thinks. */
const GroupCode = {
  illegalGeneration: 22,
  unknownMember: 25,
  rebalancing: 27,
  memberIdRequired: 79,
} as const;
const OUTDATED: readonly number[] = [GroupCode.illegalGeneration, GroupCode.unknownMember];

/** A place in the group, until the partitions are divided anew. */
export interface Membership {
  readonly memberId: string;
  readonly generation: number;
  /** Those of the topic that are this member's. */
  readonly partitions: readonly number[];
}

/** The partitions were divided anew, or are being so: what this member has may be another's. */
export class OutdatedMembershipError extends Error {}

/**
 * A member of a consumer group. Unlike the consumer of the client it commits under the generation in which records were read, and under no
 * other one: what comes late is refused, and never sets the offset of the next owner back.
 */
export class KafkaGroup {
  private joining: KafkaConnection | undefined;
  private steady: KafkaConnection | undefined;
  /** Monotonic time at which it had its place for sure. */
  private heldAt = -Infinity;

  constructor(
    private readonly cluster: KafkaCluster,
    private readonly groupId: string,
    private readonly topic: string,
    /** Its name in the group, as the coordinator knows it; empty: it has none. */
    private memberId: string,
    /** After so long without a heartbeat the partitions of a member are given to others, in milliseconds. */
    private readonly sessionMs: number,
  ) {}

  /** With which name the next session of this node takes its place again, without waiting for the one before to end. */
  get name(): string {
    return this.memberId;
  }

  /** Whether the coordinator cannot have given its place away yet, unless it was told so. */
  get isHeld(): boolean {
    return this.cluster.clock.monotonic() - this.heldAt <= this.sessionMs;
  }

  /** Takes a place; waits for the other members. @throws Error when the coordinator refuses or cannot be reached */
  async join(): Promise<Membership> {
    const { cluster, topic } = this;
    const { driver } = cluster;
    const { joining } = await this.connections();
    const protocol = { name: PROTOCOL, metadata: encodeSubscription(topic) };
    for (;;) {
      const place = await joining.call(
        driver.joinGroupV7.api,
        this.groupId,
        this.sessionMs,
        REBALANCE_MS,
        this.memberId,
        null,
        PROTOCOL_TYPE,
        [protocol],
      );
      if (place.errorCode === GroupCode.memberIdRequired) {
        this.memberId = place.memberId ?? '';
        continue;
      }
      if (place.errorCode === GroupCode.unknownMember) {
        this.memberId = '';
        continue;
      }
      if (place.errorCode === GroupCode.rebalancing) continue;
      this.check('join the group', place.errorCode);
      this.memberId = place.memberId ?? '';
      const members = place.members.map(({ memberId }) => memberId);
      const assignments = place.leader === this.memberId ? await this.divided(members) : [];
      const synced = await joining.call(
        driver.syncGroupV5.api,
        this.groupId,
        place.generationId,
        this.memberId,
        null,
        PROTOCOL_TYPE,
        PROTOCOL,
        assignments,
      );
      if (synced.errorCode === GroupCode.rebalancing || OUTDATED.includes(synced.errorCode)) continue;
      this.check('take its partitions', synced.errorCode);
      // The coordinator counts from its answer, which waits for the slowest member.
      this.heldAt = cluster.clock.monotonic();
      const partitions = decodeAssignment(topic, synced.assignment);
      return { memberId: this.memberId, generation: place.generationId, partitions };
    }
  }

  /** A join under way fails. */
  endJoin(): void {
    this.joining?.destroy();
  }

  /** Keeps the place. @returns whether it still is one @throws Error when that is not known */
  async heartbeat({ generation, memberId }: Membership): Promise<boolean> {
    const { steady } = await this.connections();
    const asked = this.cluster.clock.monotonic();
    const { errorCode } = await steady.call(
      this.cluster.driver.heartbeatV4.api,
      this.groupId,
      generation,
      memberId,
    );
    if (errorCode === GroupCode.rebalancing || OUTDATED.includes(errorCode)) return false;
    this.check('keep its place', errorCode);
    this.heldAt = asked;
    return true;
  }

  /** Offsets from which partitions are to be read; none where nothing was committed. */
  async committed(partitions: readonly number[]): Promise<ReadonlyMap<number, number>> {
    const { steady } = await this.connections();
    const topics = [{ name: this.topic, partitionIndexes: [...partitions] }];
    const question = [{ groupId: this.groupId, memberId: null, memberEpoch: NO_EPOCH, topics }];
    // Also what a transaction has not decided yet.
    const { groups } = await steady.call(this.cluster.driver.offsetFetchV8.api, question, true);
    const [group] = groups;
    this.check('read its offsets', group?.errorCode ?? Code.none);
    const found = new Map<number, number>();
    for (const { partitionIndex, committedOffset, errorCode } of group?.topics[0]?.partitions ?? []) {
      this.check('read its offsets', errorCode);
      if (committedOffset >= 0n) found.set(partitionIndex, Number(committedOffset));
    }
    return found;
  }

  /**
   * @param offset of the next record to be read.
   * @throws OutdatedMembershipError when the partition may be another member's
   */
  async commit({ generation, memberId }: Membership, partition: number, offset: number): Promise<void> {
    const { steady } = await this.connections();
    const committed = {
      partitionIndex: partition,
      committedOffset: BigInt(offset),
      committedLeaderEpoch: NO_EPOCH,
      committedMetadata: null,
    };
    const { topics } = await steady.call(
      this.cluster.driver.offsetCommitV8.api,
      this.groupId,
      generation,
      memberId,
      null,
      [{ name: this.topic, partitions: [committed] }],
    );
    const code = topics[0]?.partitions[0]?.errorCode ?? -1;
    if (code === GroupCode.rebalancing || OUTDATED.includes(code))
      throw new OutdatedMembershipError(`Kafka refuses a commit of a place that is no more (${code})`);
    this.check('commit', code);
  }

  /** Gives its place back, so that others need not wait for it. Never rejects. */
  async leave(): Promise<void> {
    const { memberId } = this;
    if (memberId === '' || this.steady?.isOpen !== true) return;
    try {
      await this.steady.call(this.cluster.driver.leaveGroupV4.api, this.groupId, [{ memberId }]);
      this.memberId = '';
    } catch {
      // Its place ends by itself, unless it comes back before.
    }
  }

  close(): void {
    this.joining?.destroy();
    this.steady?.destroy();
  }

  private async divided(members: readonly string[]): Promise<{ memberId: string; assignment: Buffer }[]> {
    await this.cluster.refresh();
    const count = this.cluster.topic(this.topic)?.partitions.length ?? 0;
    return [...divide(members, count)].map(([memberId, partitions]) => ({
      memberId,
      assignment: encodeAssignment(this.topic, partitions),
    }));
  }

  /** To the coordinator: one that waits for other members, and one for what is answered at once. */
  private async connections(): Promise<{ joining: KafkaConnection; steady: KafkaConnection }> {
    if (this.joining !== undefined && this.steady !== undefined)
      return { joining: this.joining, steady: this.steady };
    const { cluster } = this;
    const { driver, settings } = cluster;
    const anyone = await cluster.controller();
    const { coordinators } = await anyone.call(driver.findCoordinatorV4.api, GROUP_KEY, [this.groupId]);
    const [found] = coordinators;
    this.check('find its coordinator', found?.errorCode ?? -1);
    const address = { host: found?.host ?? '', port: found?.port ?? 0 };
    const { requestTimeoutMs } = settings;
    this.joining ??= await KafkaConnection.open(
      driver,
      address,
      settings,
      this.sessionMs + REBALANCE_MS + requestTimeoutMs,
    );
    this.steady ??= await KafkaConnection.open(driver, address, settings, requestTimeoutMs);
    return { joining: this.joining, steady: this.steady };
  }

  private check(what: string, code: number): void {
    if (code === Code.none) return;
    const name = REASONS.get(code);
    throw new Error(
      `Kafka does not let the group ${this.groupId} ${what}: ${name === undefined ? `error ${code}` : name}`,
    );
  }
}

const REASONS = new Map<number, string>([
  [14, 'its coordinator is loading'],
  [15, 'its coordinator is not available'],
  [16, 'it has another coordinator now'],
  [23, 'members of it divide partitions in another way; give the consumer a group of its own'],
  [Code.topicAuthorizationFailed, 'the topic is forbidden; allow READ and DESCRIBE on it'],
  [30, 'the group is forbidden; allow READ on it'],
  [Code.unknownTopicOrPartition, 'the topic is missing'],
]);
