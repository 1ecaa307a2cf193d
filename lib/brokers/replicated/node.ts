import { ThrottledLog } from '../../core/async/throttled-log.js';
import type { BrokerBus, BrokerListener, BrokerState } from '../../core/ports/broker.js';
import { guarded } from '../common/listeners.js';
import { assertNodeMessage } from '../common/node-message.js';
import type { Outcome } from '../machine/commands.js';
import { readCommand } from '../machine/read-command.js';
import type { RecordContent } from '../machine/record.js';
import { VERSIONS, type Partition } from '../machine/partition.js';
import { failed, HASH, leaseOf, nodeOf, partitionOf, STATE_PARTITION, type Write } from './commander.js';
import { ReplicatedControl } from './control.js';
import { DigestBoard } from './digest-board.js';
import { Feeds } from './feeds.js';
import { ReplicatedLog } from './log.js';
import { Member, SILENT_MS, type MemberSettings } from './member.js';
import { NodeLife } from './node-life.js';
import type { OrderedLog } from './ordered-log.js';
import { ReplicatedPresence } from './presence.js';
import type { Beginning, Replica } from './replica.js';
import type { ReplicatedSettings } from './settings.js';
import { Signals, type Signal } from './signals.js';
import { ReplicatedTransitions } from './transitions.js';
import { WriteRoom } from './write-room.js';

/** Number of the form of records and of the names of topics. */
const LAYOUT = 1;

/** A started node of a cluster over an ordered log, which it owns. */
export class ReplicatedNode {
  readonly log: ReplicatedLog;
  readonly presence: ReplicatedPresence;
  readonly transitions: ReplicatedTransitions;
  readonly bus: Required<BrokerBus>;
  private readonly members: readonly Member[];
  private readonly feeds = new Feeds();
  private readonly room: WriteRoom;
  private readonly signals: Signals;
  private readonly control: ReplicatedControl;
  private readonly life: NodeLife;
  private readonly board: DigestBoard;
  private readonly lease: string;
  private readonly writer: string;
  private state: BrokerState | undefined;
  private started = false;
  private closed = false;
  private stopState: (() => void) | undefined;

  constructor(
    private readonly storage: OrderedLog,
    settings: ReplicatedSettings,
    node: string,
    private readonly listener: BrokerListener,
  ) {
    const { clock, entropy } = settings;
    const start = entropy.token();
    const lease = leaseOf(node, start);
    const nothing = (): void => undefined;
    const warn = (message: string): void => guarded(() => listener.onWarning?.(message));
    const journal = new ThrottledLog({ warn, debug: nothing, error: nothing }, clock);
    this.lease = lease;
    this.writer = start;
    this.room = new WriteRoom(settings);
    const shared: MemberSettings = {
      ...settings,
      writer: start,
      lease,
      genesisOf: (incarnation) => ({
        layout: LAYOUT,
        partitions: storage.partitions,
        hash: HASH,
        incarnation,
        version: VERSIONS[0] ?? 1,
        settings: settings.machine,
      }),
    };
    const events = {
      onApplied: (member: Member, content: RecordContent, outcomes: readonly Outcome[], offset: number) =>
        this.onApplied(member, content, outcomes, offset),
      onBegin: (member: Member, why: Beginning) => this.onBegin(member, why),
      onServing: () => this.reportState(),
    };
    this.members = Array.from(
      { length: storage.partitions },
      (_, index) => new Member(index, storage, this.room, shared, events),
    );
    const write: Write = (partition, command, settle) => {
      const member = this.members[partition];
      if (member === undefined || this.closed) return settle('unavailable');
      member.push(command, settle);
    };
    const replicas = this.members.map(({ replica }) => replica);
    const leased = { clock, lease, nodeTtlMs: settings.nodeTtlMs };
    const state = replicaOf(replicas);
    this.signals = new Signals(storage, clock, node, (signal) => this.onSignal(signal));
    this.log = new ReplicatedLog(write, replicas, this.feeds, (channel, signal) =>
      this.signals.sendSignal(channel, signal),
    );
    this.presence = new ReplicatedPresence(write, state, leased);
    this.transitions = new ReplicatedTransitions(write, leased);
    const { controlTimeoutMs, controlMaxAgeMs } = settings;
    this.control = new ReplicatedControl(
      write,
      { clock, controlTimeoutMs, controlMaxAgeMs },
      (done, refused) => void this.signals.sendApplied(done, refused).catch(() => undefined),
    );
    this.board = new DigestBoard(
      clock,
      settings.heartbeatMs,
      (index) => this.members[index],
      (index) => void this.members[index]?.verify(),
      () =>
        journal.warn(
          'digests',
          () =>
            `Signals of ${storage.name} say more about answers than this node keeps: some of it was left out, and nodes of which it was ` +
            'are not compared. Let nobody but the nodes write there.',
        ),
    );
    this.life = new NodeLife(
      write,
      { ...leased, heartbeatMs: settings.heartbeatMs },
      {
        onProved: (askedAt) => this.control.onProved(askedAt),
        onNew: () => {
          this.presence.restore();
          this.transitions.restore();
        },
        onBeat: () => this.onBeat(),
      },
    );
    this.bus = {
      // A record may have its outcome while the state cannot be read, as it is made again.
      control: (message) => this.control.send(message, () => leasesIn(state.current)),
      send: async (to, topic, bytes) => {
        assertNodeMessage({ topic, bytes });
        await this.signals.sendMessage(to, topic, bytes).catch(() => {
          throw failed('unavailable');
        });
      },
      nodes: async () => {
        await state.caughtUp();
        return [...new Set(leasesIn(state.partition).map(nodeOf))];
      },
    };
  }

  /** Resolves when events can be appended and received. @throws LogUnavailableError, RealtimeError */
  async start(): Promise<void> {
    this.stopState = this.storage.onState(() => {
      for (const member of this.members) member.onConnection();
      this.reportState();
    });
    await this.signals.start();
    await Promise.all(this.members.map(({ replica }) => replica.start()));
    const stopped = this.members.find(({ replica }) => !replica.serving);
    if (stopped !== undefined) throw new Error(stopped.trouble ?? 'the log cannot be read');
    this.log.start(this.listener);
    this.control.start(this.listener);
    await this.life.start();
    this.started = true;
    this.reportState();
    const { partition, lastTimeMs } = replicaOf(this.members.map(({ replica }) => replica));
    await this.control.catchUp(partition.machine, lastTimeMs);
  }

  /** Waits until what was accepted has its outcome, and leaves the cluster. Never rejects. */
  async close(): Promise<void> {
    if (this.started) {
      this.life.pause();
      await this.room.idle();
      await this.life.stop();
    }
    this.closed = true;
    this.stopState?.();
    this.log.close();
    this.control.close();
    this.signals.close();
    for (const member of this.members) member.close();
    await this.storage.close();
  }

  private onApplied(
    { index }: Member,
    content: RecordContent,
    outcomes: readonly Outcome[],
    offset: number,
  ): void {
    if (index === STATE_PARTITION) {
      if (content.writer !== this.writer) for (const command of content.commands) this.forget(command);
      if (this.started) this.control.onRecord(content, outcomes, offset);
    }
    this.feeds.deliver();
  }

  private onBegin({ index, replica }: Member, why: Beginning): Promise<void> | undefined {
    this.board.forget(index);
    if (why === 'start') return undefined;
    return this.onBeginAgain(index, replica);
  }

  /** The state of a partition is another one: what follows it follows that. */
  private async onBeginAgain(index: number, replica: Replica): Promise<void> {
    const machine = replica.current?.machine;
    if (machine === undefined) return;
    for (const channel of this.feeds.channels) {
      const isEvents = partitionOf(channel, this.members.length) === index;
      if (isEvents || index === STATE_PARTITION) machine.follow(channel, this.feeds.get(channel));
      if (isEvents) this.feeds.notice(channel, machine.positionOf(channel));
    }
    this.feeds.deliver();
    if (index === STATE_PARTITION && this.started) await this.control.onLost(machine, replica.lastTimeMs);
    if (index === STATE_PARTITION) this.life.beatNow();
  }

  /** What another node has done to members and holders is no longer this node's to renew. */
  private forget(value: unknown): void {
    const command = readCommand(value);
    switch (command?.kind) {
      case 'enter':
      case 'leave':
        return this.presence.forget(command.entry);
      case 'renew':
        for (const entry of command.entries) this.presence.forget(entry);
        return;
      case 'release':
        return this.transitions.forget(command.hold);
      case 'hold':
        for (const hold of command.holds) this.transitions.forget(hold);
        return;
      default:
    }
  }

  private onSignal(signal: Signal): void {
    if (this.closed) return;
    if (signal.kind === 'signal') this.feeds.signal(signal.channel, signal.signal);
    else if (signal.kind === 'applied') this.control.onApplied(signal);
    else if (signal.kind === 'digests') {
      if (signal.lease !== this.lease) this.board.hear(signal.lease, signal.reports);
    } else guarded(() => this.listener.onMessage?.(signal.from, signal.topic, signal.bytes));
  }

  private onBeat(): void {
    this.presence.expire();
    this.transitions.expire();
    this.control.repeat();
    for (const member of this.members) member.look();
    this.reportState();
    this.sayDigests();
    const state = this.members[STATE_PARTITION];
    if (state?.replica.serving !== true) return;
    const leases = leasesIn(state.replica.partition);
    this.compare(leases);
    const rank = leases.indexOf(this.lease);
    for (const member of this.members) {
      if (rank !== member.index % Math.max(1, leases.length)) continue;
      if (member.silentMs >= SILENT_MS) member.push({ kind: 'tick' }, () => undefined);
      // It may be this node that is wrong: what it stored would outlive it.
      if (!this.board.differs(member.index)) void member.checkpoint();
    }
  }

  private get isTroubled(): boolean {
    return this.members.some(({ trouble }) => trouble !== undefined);
  }

  /** Tells the others what this node has read and answered, each time: who is silent does not count. One that is down says so, by naming nothing. */
  private sayDigests(): void {
    const reports = this.isTroubled
      ? []
      : this.members.flatMap(({ report }) =>
          report === undefined ? [] : { ...report, alike: this.board.alike(report.partition) },
        );
    // What is lost is said again with the next sign of life.
    this.signals.sendDigests(this.lease, reports).catch(() => undefined);
  }

  /** Leaves where most of the others answer something else. One that is down decides nothing: what it knows may be old. */
  private compare(leases: readonly string[]): void {
    if (this.isTroubled) return;
    const distrust = this.board.judge(leases, this.lease);
    if (distrust === undefined) return;
    const others = distrust.others.map(nodeOf).join(', ');
    this.members[distrust.partition]?.stop(
      `this node computes other answers than ${others} from the same records of partition ${distrust.partition}: ` +
        'run the same release on all nodes, and start this one again',
    );
  }

  /** Notifies the listener when all of the log can be read and written, or no longer. */
  private reportState(): void {
    if (!this.started || this.closed) return;
    const stopped = this.members.find(({ trouble }) => trouble !== undefined);
    const trouble = this.storage.connected
      ? stopped?.trouble
      : `there is no connection to ${this.storage.name}`;
    const state: BrokerState = trouble === undefined ? 'up' : 'down';
    if (state === this.state) return;
    this.state = state;
    if (state === 'up') this.life.beatNow();
    guarded(() => this.listener.onState(state, trouble));
  }
}

/** Of the nodes that live, the oldest first. */
function leasesIn(state: Partition | undefined): readonly string[] {
  return state?.machine.liveNodes().map(({ id }) => id) ?? [];
}

function replicaOf(replicas: readonly Replica[]): Replica {
  const [first] = replicas;
  if (first === undefined) throw new RangeError('A log has at least one partition');
  return first;
}
