import type { Command, Genesis, Outcome } from '../machine/commands.js';
import type { RecordContent } from '../machine/record.js';
import type { Scheduled } from '../../core/ports/clock.js';
import type { OrderedLog } from './ordered-log.js';
import type { Partition } from '../machine/partition.js';
import { helloRecord, PartitionWriter, type Hello, type Settle } from './partition-writer.js';
import { Replica, type Beginning } from './replica.js';
import { DigestTrail, type Comparison, type DigestReport } from './digest-trail.js';
import { Lag, MAX_BEHIND_MS } from './lag.js';
import { checkpointOf, restorePartition } from './restore.js';
import type { ReplicatedSettings } from './settings.js';
import { compareTail, tailOf } from './tail.js';
import type { WriteRoom } from './write-room.js';

/** Before a question that failed after a new connection is asked again, in milliseconds. */
const ASK_AGAIN_MS = 500;
/** Between two times that all of a partition is read again to see who is wrong, in milliseconds: it may be long. */
const VERIFY_EVERY_MS = 60_000;
/** After so long without a record a partition gets a tick, so that what ends there ends; in milliseconds. */
export const SILENT_MS = 1_000;

/** What a member calls. None may throw. */
export interface MemberEvents {
  /** As of a replica, and called before the outcomes of this node's own commands are settled. */
  onApplied(member: Member, content: RecordContent, outcomes: readonly Outcome[], offset: number): void;
  onBegin(member: Member, why: Beginning): Promise<void> | undefined;
  onServing(): void;
}

const READ_WRONG = 'this node has read what the log lost: it reads the log again';

/** What all members of a node share. */
export interface MemberSettings extends ReplicatedSettings {
  /** Names this start of the node in records. */
  readonly writer: string;
  /** Name of the lease of the node. */
  readonly lease: string;
  readonly genesisOf: (incarnation: string) => Genesis;
}

/** One partition of a node: what it reads, and what it writes. */
export class Member {
  readonly replica: Replica;
  private readonly trail = new DigestTrail();
  private readonly lag: Lag;
  /** Why it does not serve. */
  private reason: string | undefined = 'the log was not read yet';
  private writer: PartitionWriter | undefined;
  /** When the last record was applied, by the monotonic clock. */
  private appliedAt: number;
  private sinceCheckpoint = 0;
  private saving = false;
  private again: Scheduled | undefined;
  /** What this node had read when the log lost some of it: said before its state is made again, as nobody else may know. */
  private owed: Hello | undefined;
  /** Hellos that were said or are owed: two of one connection must not count as one that was sent again. */
  private hellos = 0;
  private verifiedAt = -Infinity;
  private closed = false;

  constructor(
    readonly index: number,
    private readonly log: OrderedLog,
    private readonly room: WriteRoom,
    private readonly settings: MemberSettings,
    private readonly events: MemberEvents,
  ) {
    const { clock, commandTimeoutMs: readTimeoutMs } = settings;
    this.appliedAt = clock.monotonic();
    this.lag = new Lag(clock, () => log.bounds(index));
    this.replica = new Replica(
      index,
      log,
      {
        clock,
        readTimeoutMs,
        restore: (partition, bounds) =>
          restorePartition(log, partition, bounds, settings.genesisOf(bounds.incarnation), () =>
            clock.monotonic(),
          ),
      },
      {
        onRead: (state) => {
          this.trail.note(state);
          this.lag.onRead(state.position + 1);
        },
        onApplied: (content, outcomes, offset) => this.onApplied(content, outcomes, offset),
        onBegin: (why) => this.onBegin(why),
        onLost: () => this.onLost(),
        onServing: (serving, reason) => {
          this.reason = serving ? undefined : (reason ?? 'this node was closed');
          if (serving) this.lag.reset();
          if (serving) void this.connect();
          else this.writer?.pause();
          events.onServing();
        },
      },
    );
  }

  /** Why it must not be relied on; `undefined` while it may be. */
  get trouble(): string | undefined {
    if (this.reason !== undefined) return this.reason;
    const { behindMs } = this.lag;
    if (behindMs <= MAX_BEHIND_MS) return undefined;
    return `this node is more than ${MAX_BEHIND_MS / 1_000} s behind the log`;
  }

  get incarnation(): string {
    return this.replica.incarnation;
  }

  get position(): number {
    return this.replica.position;
  }

  /** What this node says to the others; `undefined` before the first place at which they compare. */
  get report(): Omit<DigestReport, 'alike'> | undefined {
    const { newest } = this.trail;
    if (newest === undefined || !this.replica.serving) return undefined;
    return { ...newest, partition: this.index, incarnation: this.incarnation };
  }

  compare(report: DigestReport): Comparison {
    return this.trail.compare(report);
  }

  /** How long nothing was applied, in milliseconds. */
  get silentMs(): number {
    return this.settings.clock.monotonic() - this.appliedAt;
  }

  push(command: Command, settle: Settle): void {
    if (this.writer === undefined || this.closed) return settle('unavailable');
    this.writer.push(command, settle);
  }

  /** The log's connection is there, is another one, or is gone. */
  onConnection(): void {
    this.writer?.pause();
    if (this.log.connected && (this.replica.serving || this.owed !== undefined)) void this.connect();
  }

  /** Sees how far this node is behind. To be called from time to time. */
  look(): void {
    const { lag, log, replica } = this;
    if (log.connected && replica.serving) lag.look(() => replica.position + 1);
  }

  /** This node must not be relied on until it is started again. */
  stop(reason: string): void {
    this.replica.halt(reason);
  }

  /** Another node has read other records: where this one is wrong, as the log shows, it makes its state again. */
  async verify(): Promise<void> {
    const { index, log, replica, settings } = this;
    const now = settings.clock.monotonic();
    if (!replica.serving || now - this.verifiedAt < VERIFY_EVERY_MS) return;
    this.verifiedAt = now;
    const { partition, incarnation } = replica;
    try {
      const found = await compareTail(log, tailOf(index, incarnation, partition), 'oldest');
      if (found !== 'other' || this.closed || replica.current !== partition || !replica.serving) return;
      replica.halt(READ_WRONG);
      if (log.detectsCuts === 'readers') this.onLost();
      else replica.rebuild();
    } catch {
      // The log is away: whoever differs says so again.
    }
  }

  /** Stores a checkpoint where enough was applied since the last one that this node knows of. */
  async checkpoint(): Promise<void> {
    const { replica, settings } = this;
    if (this.saving || !replica.serving || this.sinceCheckpoint < settings.checkpointEvery) return;
    this.saving = true;
    const counted = this.sinceCheckpoint;
    try {
      const { partition, incarnation, lastTerm } = replica;
      const genesis = settings.genesisOf(incarnation);
      await this.log.saveCheckpoint(this.index, checkpointOf(partition, genesis, incarnation, lastTerm));
      this.sinceCheckpoint -= counted;
    } catch {
      // The log is away: the next look tries again.
    } finally {
      this.saving = false;
    }
  }

  close(): void {
    this.closed = true;
    this.again?.cancel();
    this.writer?.abandon();
    this.replica.close();
  }

  private onApplied(content: RecordContent, outcomes: readonly Outcome[], offset: number): void {
    this.appliedAt = this.settings.clock.monotonic();
    this.sinceCheckpoint += 1;
    this.events.onApplied(this, content, outcomes, offset);
    if (content.writer === this.settings.writer) this.writer?.onRead(content.n, outcomes, offset);
  }

  private onBegin(why: Beginning): Promise<void> | undefined {
    if (why === 'start' || why === 'replaced') this.startWriter();
    return this.events.onBegin(this, why);
  }

  private startWriter(): void {
    const { clock, commandTimeoutMs: timeoutMs, genesisOf, writer } = this.settings;
    const { incarnation } = this.replica;
    this.writer?.abandon();
    this.writer = new PartitionWriter(this.index, this.log, incarnation, this.room, {
      clock,
      writer,
      timeoutMs,
      retryMs: 100,
    });
    // Harmless where the log has begun: then it is compared.
    this.writer.push({ kind: 'genesis', ...genesisOf(incarnation) }, () => undefined);
  }

  /** Begins to write in the connection that is there, once it is sure that this node has read what is in the log. */
  private async connect(): Promise<void> {
    const { log, replica, writer } = this;
    this.again?.cancel();
    if (this.closed || !log.connected) return;
    const { session } = log;
    if (this.owed !== undefined) return this.tell(this.owed, session);
    if (writer === undefined) return;
    if (log.detectsCuts === 'log') return writer.resume(session);
    const { partition } = replica;
    try {
      const found = await compareTail(log, tailOf(this.index, replica.incarnation, partition));
      if (this.closed || log.session !== session || !replica.serving || this.writer !== writer) return;
      if (found !== 'other') return writer.resume(session, this.helloOf(partition));
      replica.halt(READ_WRONG);
      this.onLost();
    } catch {
      this.connectLater();
    }
  }

  private onLost(): void {
    const { current } = this.replica;
    if (current !== undefined) this.owed ??= this.helloOf(current);
    void this.connect();
  }

  /** Lets all nodes know what was lost, and makes the state again when that is in the log: so it is known before anything is read here. */
  private async tell(hello: Hello, session: number): Promise<void> {
    const { index, log, replica, settings } = this;
    try {
      await log.append(index, helloRecord(settings.writer, replica.incarnation, hello), session);
      if (this.closed || this.owed !== hello) return;
      this.owed = undefined;
      replica.rebuild();
    } catch {
      this.connectLater();
    }
  }

  private helloOf(partition: Partition): Hello {
    this.hellos += 1;
    const command = { kind: 'hello', node: this.settings.lease, marks: partition.marks() } as const;
    return { n: this.hellos, command };
  }

  private connectLater(): void {
    if (!this.closed) this.again = this.settings.clock.schedule(ASK_AGAIN_MS, () => void this.connect());
  }
}
