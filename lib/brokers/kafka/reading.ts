import type { Reading, ReadingEnd, ReadingEvents, ReadPosition } from '../replicated/ordered-log.js';
import type { KafkaCluster, Leader } from './cluster.js';
import { Code, isEpochAnswer, messageOf } from './codes.js';
import { KafkaConnection } from './connection.js';
import { fetchRecords } from './fetch.js';
import { TermHistory } from './term-history.js';

/** How long a broker waits for records before it answers with none. */
const WAIT_MS = 5_000;
const RETRY_MS = 50;
const MAX_RETRY_MS = 1_000;
/** In so many answers in a row, at least a second apart in all, a topic must be missing: a broker that starts does not know all. */
const MISSING_ANSWERS = 5;
const MISSING_PAUSE_MS = 250;
/** What a client says where a replica names itself. */
const NO_REPLICA = -1;
const READ_UNCOMMITTED = 0;
/** Asks for the first offset instead of one by its time. */
const EARLIEST = -2n;

/**
 * Reads a partition on a connection of its own, on which the broker waits for records. It asks the leader that it knows, by the leader's
 * epoch: another leader refuses, and before anything of it is read it is asked where the last term that was read ends.
 */
export class KafkaReading implements Reading {
  private readonly terms: TermHistory;
  private next: number;
  /** Epoch of the leader that was asked for the end of the last term. */
  private checkedEpoch: number | undefined;
  private connection: { readonly to: string; readonly opened: KafkaConnection } | undefined;
  private missing = 0;
  private closed = false;

  constructor(
    private readonly cluster: KafkaCluster,
    private readonly topic: string,
    private readonly partition: number,
    private readonly from: ReadPosition,
    private readonly events: ReadingEvents,
    private readonly onClosed: () => void,
  ) {
    this.next = Math.max(0, from.offset);
    this.terms = new TermHistory(from.term);
    // Not in this turn: its caller does not have it yet when it is over at once.
    queueMicrotask(() => void this.run());
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.disconnect();
    this.onClosed();
  }

  private async run(): Promise<void> {
    for (let failures = 0; !this.closed && !this.cluster.isClosed;) {
      try {
        if (await this.step()) failures = 0;
        else {
          await this.cluster.refresh();
          await this.cluster.pause(Math.min(RETRY_MS * 2 ** failures++, MAX_RETRY_MS));
        }
      } catch {
        // The connection, or one to another broker: the next step makes another one.
        this.disconnect();
        await this.cluster.pause(Math.min(RETRY_MS * 2 ** failures++, MAX_RETRY_MS));
        await this.cluster.refresh();
      }
    }
  }

  /** @returns whether what is known of the cluster was right */
  private async step(): Promise<boolean> {
    const { incarnation } = this.from;
    const topicId = this.cluster.topic(this.topic)?.topicId;
    if (topicId !== undefined && topicId !== incarnation) {
      this.end({ kind: 'replaced', incarnation: topicId });
      return true;
    }
    if (topicId === undefined) return this.countMissing();
    this.missing = 0;
    const leader = this.cluster.leader(this.topic, this.partition);
    if (leader === undefined) return false;
    const connection = await this.connect(leader);
    if (this.closed) return true;
    if (this.checkedEpoch !== leader.epoch) {
      const isAgreed = await this.compareTerms(connection, leader);
      if (!isAgreed || this.closed) return isAgreed;
      this.checkedEpoch = leader.epoch;
    }
    return this.fetch(connection, leader);
  }

  private async countMissing(): Promise<boolean> {
    this.missing += 1;
    if (this.missing >= MISSING_ANSWERS) this.end({ kind: 'replaced', incarnation: undefined });
    else await this.cluster.pause(MISSING_PAUSE_MS);
    return false;
  }

  private async connect({ address }: Leader): Promise<KafkaConnection> {
    const to = `${address.host}:${address.port}`;
    if (this.connection?.to === to && this.connection.opened.isOpen) return this.connection.opened;
    this.disconnect();
    const { driver, settings } = this.cluster;
    const opened = await KafkaConnection.open(driver, address, settings, WAIT_MS + settings.requestTimeoutMs);
    this.connection = { to, opened };
    if (this.closed) this.disconnect();
    return opened;
  }

  /** Asks a leader where the last term that was read ends. @returns whether it answered */
  private async compareTerms(connection: KafkaConnection, leader: Leader): Promise<boolean> {
    const { last } = this.terms;
    if (last === 0) return true;
    const answer = await this.askEpoch(connection, leader, last - 1);
    if (answer === undefined) return false;
    // It never had a term as high: the whole cluster went back.
    const cut =
      answer.end < 0
        ? await this.firstOffset(connection, leader)
        : this.terms.findCut(answer.term, answer.end, this.next);
    if (cut !== undefined) await this.endCut(cut);
    return true;
  }

  private async askEpoch(
    connection: KafkaConnection,
    leader: Leader,
    epoch: number,
  ): Promise<{ term: number; end: number } | undefined> {
    const { offsetForLeaderEpochV4 } = this.cluster.driver;
    const partition = {
      partitionIndex: this.partition,
      currentLeaderEpoch: leader.epoch,
      leaderEpoch: epoch,
    };
    const { topics } = await connection.call(offsetForLeaderEpochV4.api, NO_REPLICA, [
      { name: this.topic, partitions: [partition] },
    ]);
    const answer = topics[0]?.partitions[0];
    if (answer === undefined || !isEpochAnswer(this.partition, answer)) return undefined;
    return { term: answer.leaderEpoch + 1, end: Number(answer.endOffset) };
  }

  private async firstOffset(connection: KafkaConnection, leader: Leader): Promise<number | undefined> {
    const { listOffsetsV7 } = this.cluster.driver;
    const partition = {
      partitionIndex: this.partition,
      currentLeaderEpoch: leader.epoch,
      timestamp: EARLIEST,
    };
    const { topics } = await connection.call(listOffsetsV7.api, NO_REPLICA, READ_UNCOMMITTED, [
      { name: this.topic, partitions: [partition] },
    ]);
    const answer = topics[0]?.partitions[0];
    return answer?.errorCode === Code.none ? Number(answer.offset) : undefined;
  }

  private async fetch(connection: KafkaConnection, leader: Leader): Promise<boolean> {
    const { code, next, records } = await fetchRecords(this.cluster.driver, connection, {
      topicId: leader.topicId,
      partition: this.partition,
      epoch: leader.epoch,
      offset: this.next,
      waitMs: WAIT_MS,
    });
    if (this.closed) return true;
    if (code === Code.offsetOutOfRange) return this.findPlace(connection, leader);
    if (code === Code.topicAuthorizationFailed) {
      this.end({
        kind: 'failed',
        error: new Error(
          `Kafka does not permit reading the topic ${this.topic}: grant Read on it, as docs/kafka.md lists`,
        ),
      });
      return true;
    }
    if (code !== Code.none) return false;
    this.next = next;
    if (records.length === 0) return true;
    for (const { offset, term } of records) this.terms.add(term, offset);
    try {
      await this.events.onRecords(records);
    } catch (error) {
      this.end({ kind: 'failed', error: error instanceof Error ? error : new Error(messageOf(error)) });
    }
    return true;
  }

  /** The place is not in the log: before its first record, behind its end, or not yet known to a new leader. */
  private async findPlace(connection: KafkaConnection, leader: Leader): Promise<boolean> {
    const first = await this.firstOffset(connection, leader);
    if (first === undefined) return false;
    if (this.next < first) {
      this.end({ kind: 'trimmed', first });
      return true;
    }
    const { last } = this.terms;
    const answer = await this.askEpoch(connection, leader, last > 0 ? last - 1 : leader.epoch);
    if (answer === undefined || answer.end >= this.next) return false;
    await this.endCut(Math.max(answer.end, first));
    return true;
  }

  /** Ends for a cut, unless it is another topic that has other terms: questions for terms name the topic, not its id. */
  private async endCut(offset: number): Promise<void> {
    await this.cluster.refresh();
    const topicId = this.cluster.topic(this.topic)?.topicId;
    if (topicId === this.from.incarnation) this.end({ kind: 'cut', offset });
  }

  private disconnect(): void {
    this.connection?.opened.destroy();
    this.connection = undefined;
    this.checkedEpoch = undefined;
  }

  private end(end: ReadingEnd): void {
    if (this.closed) return;
    this.close();
    this.events.onEnd(end);
  }
}
