import type { Clock } from '../../core/ports/clock.js';
import type { Comparison, DigestReport } from './digest-trail.js';
import { DigestVoices, type Opinion } from './digest-voices.js';

/** Before a node whose answers are others than those of another one decides which of them is wrong, in milliseconds: until all have spoken. */
const DECIDE_MS = 5_000;
/** How long a word of another node counts, in milliseconds: less than the wait, so that no decision rests on one that has left. */
const FRESH_MS = 3_000;
/** Signs of life come this often where the times above are meant as they are, in milliseconds. */
const USUAL_BEAT_MS = 1_000;

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
  /** Names of the leases of those who agree with each other on another answer. */
  readonly others: readonly string[];
}

/** Who stands where about one partition, each the oldest first. */
interface Sides {
  /** This node, those who answer the same, and those of whom it is not known. */
  readonly mine: readonly string[];
  readonly others: readonly string[];
}

/**
 * What the other nodes read and answered, beside what this one did. Where two have read the same and answer something else, one of them
 * runs other code or is damaged, and no epoch could mend that: the one with fewer nodes on its side has to leave, and of as many the
 * one whose side has not the node that is there for the longest, so that an update that is wrong ends itself and not the service.
 *
 * Each node decides alone, and never must all of them leave. So a node leaves only for others of whom it knows that they serve now and
 * agree with each other; whom it did not hear lately counts for its own side; nothing of that may have changed while it waits, which is
 * longer than the word of one that has left counts; and all decide about the same partition first.
 */
export class DigestBoard {
  private readonly voices: DigestVoices;
  /** What this node waits with, and since when. */
  private doubt: { readonly key: string; readonly since: number } | undefined;
  private judgedAt = -Infinity;
  private readonly decideMs: number;
  private readonly freshMs: number;

  constructor(
    private readonly clock: Clock,
    heartbeatMs: number,
    private readonly partitionOf: (index: number) => BoardPartition | undefined,
    /** Another node has read other records than this one: one of them has to read again. */
    private readonly onOtherInput: (partition: number) => void,
    /** Something that was said was not kept for lack of room. */
    onFull: () => void,
  ) {
    this.voices = new DigestVoices(onFull);
    const pace = Math.max(1, heartbeatMs / USUAL_BEAT_MS);
    this.decideMs = DECIDE_MS * pace;
    this.freshMs = FRESH_MS * pace;
  }

  /**
   * A node has spoken; of partitions that it does not name it has nothing to say, e.g. as it is down. What is said by one without a lease
   * is forgotten by the next `judge`, and until then it has bounded room.
   */
  hear(lease: string, reports: readonly DigestReport[]): void {
    const before = this.voices.get(lease)?.opinions;
    const opinions = new Map<number, Opinion>();
    for (const report of reports) {
      if (this.partitionOf(report.partition) === undefined) continue;
      const opinion: Opinion = {
        ...(before?.get(report.partition) ?? { waiting: undefined, agrees: undefined }),
        alike: report.alike,
      };
      opinions.set(report.partition, opinion);
      this.settle(opinion);
      // The one that waits is kept: a node that is always a little behind would never compare otherwise.
      const { waiting } = opinion;
      const isKept = waiting?.incarnation === report.incarnation && waiting.offset <= report.offset;
      if (!isKept) opinion.waiting = { ...report, alike: [] };
      this.settle(opinion);
    }
    this.voices.note(lease, { heardAt: this.clock.monotonic(), opinions });
  }

  /** The state of a partition is made again: what others differed from is gone. */
  forget(partition: number): void {
    this.doubt = undefined;
    for (const { opinions } of this.voices.all.values()) opinions.delete(partition);
  }

  /** Whether a node that lives has last said something else about a partition than this one: which of them is wrong is not known yet. */
  differs(partition: number): boolean {
    for (const { opinions } of this.voices.all.values())
      if (opinions.get(partition)?.agrees === false) return true;
    return false;
  }

  /** Who answers as this node does, for the others to count; nobody where nobody answers something else. */
  alike(partition: number): readonly string[] {
    if (!this.differs(partition)) return [];
    return [...this.voices.all.keys()].filter((lease) => this.opinionOf(lease, partition)?.agrees === true);
  }

  /**
   * Whether this node has to leave, and why.
   *
   * @param leases Of all nodes that live, the oldest first. What others have said is forgotten.
   * @param own The lease of this node.
   */
  judge(leases: readonly string[], own: string): Distrust | undefined {
    this.voices.keep(leases);
    for (const { opinions } of this.voices.all.values())
      for (const opinion of opinions.values()) this.settle(opinion);
    const now = this.clock.monotonic();
    // What this node did not look at may have been another way meanwhile.
    if (now - this.judgedAt > this.freshMs) this.doubt = undefined;
    this.judgedAt = now;
    const partition = this.firstDifference();
    const sides = partition === undefined ? undefined : this.sidesOf(partition, leases, own);
    if (partition === undefined || sides === undefined) {
      this.doubt = undefined;
      return undefined;
    }
    const key = JSON.stringify([partition, sides]);
    if (this.doubt?.key !== key) this.doubt = { key, since: now };
    return now - this.doubt.since < this.decideMs ? undefined : { partition, others: sides.others };
  }

  /** The first partition of which another node, heard lately, says something else: those that follow wait, or each could cost another node. */
  private firstDifference(): number | undefined {
    let first: number | undefined;
    for (const [lease, { opinions }] of this.voices.all)
      for (const partition of opinions.keys())
        if (partition < (first ?? Infinity) && this.opinionOf(lease, partition)?.agrees === false)
          first = partition;
    return first;
  }

  /** The sides, where this node is on the one that has to leave. */
  private sidesOf(partition: number, leases: readonly string[], own: string): Sides | undefined {
    if (!leases.includes(own)) return undefined;
    const agrees = (lease: string) => this.opinionOf(lease, partition)?.agrees;
    const mine = leases.filter(
      (lease) => lease === own || agrees(lease) === true || this.isUnknown(lease, partition),
    );
    const differing = leases.filter((lease) => lease !== own && agrees(lease) === false);
    const alike = (one: string, other: string) => this.opinionOf(one, partition)?.alike.includes(other);
    let found: readonly string[] | undefined;
    for (const one of differing) {
      const others = differing.filter(
        (other) => other === one || (alike(one, other) === true && alike(other, one) === true),
      );
      if (others.length > (found?.length ?? 0)) found = others;
    }
    const [oldest] = found ?? [];
    if (found === undefined || oldest === undefined || found.length < mine.length) return undefined;
    const isOurs = found.length === mine.length && leases.indexOf(mine[0] ?? own) < leases.indexOf(oldest);
    return isOurs ? undefined : { mine, others: found };
  }

  /** Of a node that was heard lately. */
  private opinionOf(lease: string, partition: number): Opinion | undefined {
    return this.isFresh(lease) ? this.voices.get(lease)?.opinions.get(partition) : undefined;
  }

  /** Whether a node that lives may answer as this one does, as far as this one can know. */
  private isUnknown(lease: string, partition: number): boolean {
    if (!this.isFresh(lease)) return true;
    const opinion = this.opinionOf(lease, partition);
    return opinion !== undefined && opinion.agrees === undefined;
  }

  private isFresh(lease: string): boolean {
    const voice = this.voices.get(lease);
    return voice !== undefined && this.clock.monotonic() - voice.heardAt <= this.freshMs;
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
