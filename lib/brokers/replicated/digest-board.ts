import type { Clock } from '../../core/ports/clock.js';
import type { Comparison, DigestReport } from './digest-trail.js';

/** Before a node whose answers are others than those of another one decides which of them is wrong, in milliseconds: until all have spoken. */
const DECIDE_MS = 5_000;

/** What a board asks of its node. */
export interface BoardPartition {
  readonly incarnation: string;
  /** Offset of the last record that was applied. */
  readonly position: number;
  compare(report: DigestReport): Comparison;
}

/** That this node must not serve a partition. */
export interface Distrust {
  readonly partition: number;
  /** Names of the nodes, or of their leases, whose answers are others. */
  readonly others: readonly string[];
}

interface Opinion {
  /** The oldest report that could not be compared yet. */
  waiting: DigestReport | undefined;
  /** What the last one that could be compared has shown. */
  agrees: boolean | undefined;
}

/**
 * What the other nodes read and answered, beside what this one did. Where two have read the same and answer something else, one of them
 * runs other code or is damaged, and no epoch could mend that: the one with fewer nodes on its side has to leave, and of as many the
 * one whose side has not the node that is there for the longest, so that an update that is wrong ends itself and not the service.
 */
export class DigestBoard {
  /** By lease, and by partition. */
  private readonly opinions = new Map<string, Map<number, Opinion>>();
  /** Since when somebody differs, by partition. */
  private readonly since = new Map<number, number>();

  constructor(
    private readonly clock: Clock,
    private readonly partitionOf: (index: number) => BoardPartition | undefined,
    /** Another node has read other records than this one: one of them has to read again. */
    private readonly onOtherInput: (partition: number) => void,
  ) {}

  /** A node has spoken. What is said by one without a lease is forgotten by the next `judge`, so that no more is kept than there are nodes. */
  hear(lease: string, reports: readonly DigestReport[]): void {
    const own = this.opinions.get(lease) ?? new Map<number, Opinion>();
    this.opinions.set(lease, own);
    for (const report of reports) {
      if (this.partitionOf(report.partition) === undefined) continue;
      const opinion: Opinion = own.get(report.partition) ?? { waiting: undefined, agrees: undefined };
      own.set(report.partition, opinion);
      this.settle(opinion);
      // The one that waits is kept: a node that is always a little behind would never compare otherwise.
      const { waiting } = opinion;
      const isKept = waiting?.incarnation === report.incarnation && waiting.offset <= report.offset;
      if (!isKept) opinion.waiting = report;
      this.settle(opinion);
    }
  }

  /** The state of a partition is made again: what others differed from is gone. */
  forget(partition: number): void {
    this.since.delete(partition);
    for (const opinions of this.opinions.values()) opinions.delete(partition);
  }

  /**
   * Whether this node has to leave, and why.
   *
   * @param leases Of all nodes that live, the oldest first. What others have said is forgotten.
   * @param own The lease of this node.
   */
  judge(leases: readonly string[], own: string): Distrust | undefined {
    for (const lease of this.opinions.keys()) if (!leases.includes(lease)) this.opinions.delete(lease);
    const partitions = new Set<number>();
    for (const opinions of this.opinions.values())
      for (const [partition, opinion] of opinions) {
        this.settle(opinion);
        partitions.add(partition);
      }
    for (const partition of this.since.keys()) partitions.add(partition);
    for (const partition of partitions) {
      const distrust = this.judgePartition(partition, leases, own);
      if (distrust !== undefined) return distrust;
    }
    return undefined;
  }

  private judgePartition(partition: number, leases: readonly string[], own: string): Distrust | undefined {
    const opinionOf = (lease: string) => this.opinions.get(lease)?.get(partition)?.agrees;
    const others = leases.filter((lease) => lease !== own && opinionOf(lease) === false);
    if (others.length === 0) {
      this.since.delete(partition);
      return undefined;
    }
    const now = this.clock.monotonic();
    const since = this.since.get(partition) ?? now;
    this.since.set(partition, since);
    if (now - since < DECIDE_MS) return undefined;
    const mine = leases.filter((lease) => lease === own || opinionOf(lease) === true);
    const isOurs =
      mine.length > others.length ||
      (mine.length === others.length && leases.indexOf(mine[0] ?? '') < leases.indexOf(others[0] ?? ''));
    return isOurs ? undefined : { partition, others };
  }

  /** Compares what waits, where this node has come to it. */
  private settle(opinion: Opinion): void {
    const { waiting } = opinion;
    if (waiting === undefined) return;
    const partition = this.partitionOf(waiting.partition);
    if (partition === undefined || partition.incarnation !== waiting.incarnation) return;
    if (partition.position < waiting.offset) return;
    opinion.waiting = undefined;
    const found = partition.compare(waiting);
    if (found === 'other_input') this.onOtherInput(waiting.partition);
    else if (found !== 'unknown') opinion.agrees = found === 'same';
  }
}
