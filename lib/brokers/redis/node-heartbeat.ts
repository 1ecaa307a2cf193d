import type { Scheduled } from '../../core/ports/clock.js';
import type { Position } from '../../protocol/position.js';
import type { RedisCommands } from './connection/commands.js';
import type { NodesView } from './control/known-nodes.js';
import { notRunning } from './errors.js';
import { CONTROL_CHANNEL, LAYOUT, type RedisKeys } from './keys.js';
import { HEARTBEAT } from './scripts/heartbeat.js';
import { ReplicaProof } from './replica-proof.js';
import { LIVE_NODES } from './scripts/nodes.js';
import type { RedisSettings } from './settings.js';

/** What the heartbeat notifies its owner of. */
export interface HeartbeatEvents {
  /** Commands are refused, or are no longer. */
  onChange(): void;
  /** Where the log of control records ends, when that was certainly so, and which nodes live. */
  onBeat(tip: Position, view: Omit<NodesView, 'epoch'>): void;
  /** This process of a server answered. */
  onServer(server: string): void;
  /** So many of the nodes that live have names before this one's. */
  onRank(rank: number): void;
  /** What the server of the control records refuses, in its words; `undefined` when it took the heartbeat. */
  onRefused(text: string | undefined): void;
  /** A heartbeat failed: Redis is away, or refuses writes. */
  onFailed(): void;
}

/** What the script answers: layout and partitions as stored, and the rest where they are this node's. */
type Answer = readonly [
  layout: string,
  partitions?: string,
  epoch?: string,
  seq?: number,
  rank?: number,
  refused?: string,
  nodes?: readonly string[],
  topics?: string,
  server?: string,
  offset?: string,
  most?: number,
  acknowledged?: readonly string[],
];

/** Between the heartbeats of a start that is not proved yet. */
const FIRST_BEATS_MS = 20;
/** How long a start waits for its first proof; then it goes on without one, and events are withheld. */
const FIRST_PROOF_MS = 2_500;

/** Why this node cannot work beside the others of its deployment. */
interface LayoutMismatch {
  readonly problem: string;
  /** The problem and its remedy. */
  readonly text: string;
}

/**
 * Tells the other nodes that this node lives, compares the layout and the number of partitions with theirs, and learns where
 * the log of control records ends.
 */
export class NodeHeartbeat {
  private node = '';
  private timer: Scheduled | undefined;
  private closed = false;
  /** Whether the first heartbeat was answered. */
  private isRunning = false;
  private readonly proof: ReplicaProof;
  private startedAt = 0;
  private provenAt = -Infinity;
  /** Whether the owner was warned that nothing proves that its server is the master. */
  private warned = false;

  constructor(
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
    private readonly events: HeartbeatEvents,
  ) {
    this.proof = new ReplicaProof(settings.controlReplicas, settings.controlMaxAgeMs);
  }

  private get partition(): number {
    return this.keys.partitionOf(CONTROL_CHANNEL);
  }

  /** @throws Error with the remedy, when the deployment has another layout or another number of partitions. */
  async start(node: string): Promise<void> {
    this.node = node;
    const { clock } = this.settings;
    this.startedAt = clock.monotonic();
    do {
      const mismatch = await this.beat();
      if (mismatch !== undefined) throw new Error(`redisBroker: ${mismatch.text}`);
      this.isRunning = true;
      if (this.provenAt !== -Infinity) break;
      await this.askReplicas();
      await new Promise<void>((resolve) => clock.schedule(FIRST_BEATS_MS, resolve));
    } while (!this.closed && clock.monotonic() - this.startedAt < FIRST_PROOF_MS);
    this.schedule();
  }

  /** Has replicas acknowledge now what they do once a second; it stops the connection for a millisecond, so at a start only. */
  private async askReplicas(): Promise<void> {
    await this.commands.command(this.partition, 'wait', [this.proof.needed, 1]).catch(() => undefined);
  }

  /** Beats at once, as the connection to Redis has just opened. */
  beatNow(): void {
    if (this.timer === undefined) return;
    this.timer.cancel();
    this.run();
  }

  /** Ids of the nodes that live by their heartbeats. This one does, whatever Redis knows. */
  async nodes(): Promise<readonly string[]> {
    if (this.node === '' || this.closed) throw notRunning();
    const live = (await this.commands.run(LIVE_NODES, this.partition, [this.keys.nodes], [])) as string[];
    return live.includes(this.node) ? live : [...live, this.node];
  }

  /** Removes the node from those that are waited for. */
  async stop(): Promise<void> {
    this.closed = true;
    this.timer?.cancel();
    if (this.isRunning) await this.commands.command(this.partition, 'zrem', [this.keys.nodes, this.node]);
  }

  private schedule(): void {
    if (this.closed) return;
    this.timer = this.settings.clock.schedule(this.settings.heartbeatMs, () => this.run());
  }

  private run(): void {
    this.timer = undefined;
    this.beat()
      .then((mismatch) => {
        // The deployment moved on to another layout; or the data was lost, and a node with other partitions wrote first.
        if (mismatch?.problem === this.commands.refusal) return;
        this.commands.refusal = mismatch?.problem;
        if (mismatch !== undefined) this.settings.onWarning(`redisBroker: ${mismatch.text}`);
        this.events.onChange();
      })
      .catch(() => this.events.onFailed())
      .finally(() => this.schedule());
  }

  private async beat(): Promise<LayoutMismatch | undefined> {
    const { clock, epochs, headMs, keyPrefix, nodeTtlMs } = this.settings;
    const { keys } = this;
    const askedAt = clock.monotonic();
    const answer = (await this.commands.run(
      HEARTBEAT,
      this.partition,
      [
        ...[keys.layout, keys.nodes, keys.meta, keys.head(CONTROL_CHANNEL), keys.stream(CONTROL_CHANNEL)],
        keys.answersTo(this.node),
      ],
      [
        LAYOUT,
        this.node,
        nodeTtlMs,
        keys.partitions,
        epochs.next(),
        headMs,
        keys.topicsName,
        this.proof.remaining ?? '',
      ],
      true,
    )) as Answer;
    const [layout, partitions, epoch, seq, rank, refused] = answer;
    if (partitions === undefined) {
      const problem = `the data under \`keyPrefix\` "${keyPrefix}" has layout ${layout}, and this version of nestjs-realtime knows layout ${LAYOUT}`;
      const remedy = `run a version that knows layout ${layout}, or give this one another \`keyPrefix\`.`;
      return { problem, text: `${problem}: ${remedy}` };
    }
    if (epoch === undefined) {
      const isGiven = this.settings.partitions !== undefined;
      const own = isGiven
        ? `\`partitions\` is ${keys.partitions}`
        : `this node began with ${keys.partitions}`;
      const problem = `the channels under this \`keyPrefix\` are divided into ${partitions} partitions, and ${own}`;
      const remedy = isGiven
        ? 'Give every node of a deployment the same `partitions`, or leave the option out; to change it, use another `keyPrefix` or remove the keys of this one.'
        : 'Another node wrote its own number meanwhile: start this one again, and it takes that.';
      return { problem, text: `${problem}. ${remedy}` };
    }
    this.events.onRefused(refused === '' ? undefined : refused);
    this.events.onRank(Number(rank));
    const [, , , , , , nodes = [], topics = '', server = '', offset, most, acknowledged = []] = answer;
    const other = this.compareTopics(topics);
    if (other !== undefined) return other;
    this.events.onServer(server);
    const view = {
      server,
      offset: Number(offset),
      most: Number(most),
      acknowledged: acknowledged.map(Number),
    };
    this.provenAt = this.proof.note(view, askedAt);
    this.warnUnproven(acknowledged.length);
    this.events.onBeat({ epoch, seq: Number(seq) }, { nodes, provenAt: this.provenAt });
    return undefined;
  }

  /** The first heartbeat takes the names that the deployment has. */
  private compareTopics(topics: string): LayoutMismatch | undefined {
    const { keys } = this;
    if (!this.isRunning) keys.separate(topics);
    if (topics === keys.topicsName) return undefined;
    const problem =
      'the pub/sub channels under this `keyPrefix` have other names than this node found when it started';
    return { problem, text: `${problem}. Start this node again.` };
  }

  /** Says once why events are about to be withheld, and again the next time. */
  private warnUnproven(replicas: number): void {
    const { clock, controlMaxAgeMs, onWarning } = this.settings;
    const ageMs = clock.monotonic() - Math.max(this.provenAt, this.startedAt);
    if (ageMs < controlMaxAgeMs / 2) this.warned = false;
    else if (!this.warned) {
      this.warned = true;
      onWarning(
        `redisBroker: ${replicas} replicas follow the server, and none has acknowledged anything for ${Math.round(ageMs)} ms ` +
          `(needed: ${this.proof.needed}): another server may be the master, so events of channels that are not public are ` +
          'withheld (G11). Start the replicas; where there are to be none, set `controlReplicas` to 0.',
      );
    }
  }
}
