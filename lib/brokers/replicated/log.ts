import type {
  AppendOutcome,
  AppendRequest,
  BrokerLog,
  EraseResult,
  ReadRequest,
  ReadResult,
  SignalMessage,
} from '../../core/ports/broker.js';
import type { EraseRequest } from '../../core/ports/erasure.js';
import type { Position } from '../../protocol/position.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { ChannelListener } from '../common/listeners.js';
import { failed, partitionOf, perform, type Write } from './commander.js';
import type { Outcome } from '../machine/commands.js';
import type { Feeds } from './feeds.js';
import type { WriteFailure } from './partition-writer.js';
import type { Replica } from './replica.js';

/** Most bytes of events that travel as one command: one that no record holds fails alone. */
const COMMAND_BYTES = 16_384;
/** Bytes of an append beside its event, about. */
const REQUEST_BYTES = 256;

/** The logs of channels, over the partitions of the log. */
export class ReplicatedLog implements BrokerLog {
  private listener: ChannelListener | undefined;

  constructor(
    private readonly write: Write,
    private readonly replicas: readonly Replica[],
    private readonly feeds: Feeds,
    private readonly send: (channel: string, signal: SignalMessage) => Promise<void>,
  ) {}

  start(listener: ChannelListener): void {
    this.listener = listener;
  }

  close(): void {
    this.listener = undefined;
    for (const channel of [...this.feeds.channels]) this.leave(channel);
  }

  async appendMany(requests: readonly AppendRequest[]): Promise<readonly AppendOutcome[]> {
    this.running();
    const outcomes: AppendOutcome[] = Array.from({ length: requests.length });
    const written: Promise<void>[] = [];
    for (const group of groupsOf(requests, this.replicas.length)) {
      written.push(
        new Promise((resolve) => {
          const command = { kind: 'append', requests: group.requests } as const;
          this.write(group.partition, command, (outcome) => {
            group.places.forEach((place, index) => {
              outcomes[place] = isAppended(outcome)
                ? (outcome[index] ?? refusal('timeout'))
                : refusal(typeof outcome === 'string' ? outcome : 'unavailable');
            });
            resolve();
          });
        }),
      );
    }
    await Promise.all(written);
    return outcomes;
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    this.running();
    const replica = this.replicaOf(request.channel);
    await replica.caughtUp();
    return replica.partition.machine.read(request);
  }

  async erase({ channel, seqs }: EraseRequest): Promise<EraseResult> {
    this.running();
    const { index } = this.replicaOf(channel);
    return perform(this.write, index, { kind: 'erase', channel, seqs });
  }

  async tips(channels: readonly string[]): Promise<readonly Position[]> {
    this.running();
    const replicas = new Set(channels.map((channel) => this.replicaOf(channel)));
    await Promise.all([...replicas].map(async (replica) => replica.caughtUp()));
    return channels.map((channel) => this.replicaOf(channel).partition.machine.positionOf(channel));
  }

  async subscribe(channel: string): Promise<Position> {
    const listener = this.running();
    const replica = this.replicaOf(channel);
    await replica.caughtUp();
    this.running();
    const { machine } = replica.partition;
    // In one turn: what is appended behind the tip is delivered.
    this.follow(channel, listener);
    const tip = machine.positionOf(channel);
    this.feeds.setTip(channel, tip);
    return tip;
  }

  unsubscribe(channel: string): Promise<void> {
    this.running();
    this.leave(channel);
    return Promise.resolve();
  }

  async signal(channel: string, message: SignalMessage): Promise<void> {
    this.running();
    try {
      await this.send(channel, message);
    } catch {
      throw failed('unavailable');
    }
  }

  /** Delivers what happens in a channel to a listener, also of the library's own. */
  follow(channel: string, listener: ChannelListener): void {
    const { index, serving } = this.replicaOf(channel);
    const feed = this.feeds.add(channel, listener);
    const state = this.replicas[index];
    if (serving && state !== undefined) state.partition.machine.follow(channel, feed);
    // Members are in the partition of the state.
    const members = this.replicas[0];
    if (index !== 0 && members?.serving === true) members.partition.machine.follow(channel, feed);
  }

  private leave(channel: string): void {
    this.feeds.delete(channel);
    for (const replica of new Set([this.replicaOf(channel), this.replicas[0]]))
      if (replica?.serving === true) replica.partition.machine.follow(channel, undefined);
  }

  private running(): ChannelListener {
    if (this.listener === undefined)
      throw new RealtimeError('unavailable', 'The broker is not running: it was closed, or not started yet');
    return this.listener;
  }

  private replicaOf(channel: string): Replica {
    const replica = this.replicas[partitionOf(channel, this.replicas.length)];
    if (replica === undefined) throw failed('unavailable');
    return replica;
  }
}

interface Group {
  readonly partition: number;
  readonly requests: AppendRequest[];
  /** Where their outcomes belong. */
  readonly places: number[];
  bytes: number;
}

/** Appends that travel together: those of one partition in their order, as far as one command should be. */
function groupsOf(requests: readonly AppendRequest[], partitions: number): readonly Group[] {
  const groups: Group[] = [];
  const open = new Map<number, Group>();
  requests.forEach((request, place) => {
    const partition = partitionOf(request.channel, partitions);
    const bytes = REQUEST_BYTES + request.bytes;
    let group = open.get(partition);
    if (group === undefined || group.bytes + bytes > COMMAND_BYTES) {
      group = { partition, requests: [], places: [], bytes: 0 };
      open.set(partition, group);
      groups.push(group);
    }
    group.requests.push(request);
    group.places.push(place);
    group.bytes += bytes;
  });
  return groups;
}

function isAppended(outcome: Outcome | WriteFailure): outcome is readonly AppendOutcome[] {
  return Array.isArray(outcome);
}

function refusal(outcome: WriteFailure): AppendOutcome {
  if (outcome === 'too_large')
    return { ok: false, code: 'message_too_large', message: failed('too_large').message };
  return { ok: false, code: outcome === 'timeout' ? 'timeout' : 'unavailable' };
}
