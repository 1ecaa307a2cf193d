import type { Scheduled } from '../../core/ports/clock.js';
import type { Position } from '../../protocol/position.js';
import type { RedisCommands } from './connection/commands.js';
import { notRunning } from './errors.js';
import { CONTROL_CHANNEL, LAYOUT, type RedisKeys } from './keys.js';
import { HEARTBEAT } from './scripts/heartbeat.js';
import { LIVE_NODES } from './scripts/nodes.js';
import type { RedisSettings } from './settings.js';

/** What the heartbeat notifies its owner of. */
export interface HeartbeatEvents {
  /** Commands are refused, or are no longer. */
  onChange(): void;
  /** The log of control records ended at `tip`, at the monotonic time `askedAt` or later. */
  onControlTip(tip: Position, askedAt: number): void;
  /** So many of the nodes that live have names before this one's. */
  onRank(rank: number): void;
  /** A heartbeat failed: Redis is away, or refuses writes. */
  onFailed(): void;
}

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

  constructor(
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
    private readonly events: HeartbeatEvents,
  ) {}

  private get partition(): number {
    return this.keys.partitionOf(CONTROL_CHANNEL);
  }

  /** @throws Error with the remedy, when the deployment has another layout or another number of partitions. */
  async start(node: string): Promise<void> {
    this.node = node;
    const mismatch = await this.beat();
    if (mismatch !== undefined) throw new Error(`redisBroker: ${mismatch.text}`);
    this.schedule();
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
    await this.commands.command(this.partition, 'zrem', [this.keys.nodes, this.node]);
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
    const [layout, partitions, epoch, seq, rank] = (await this.commands.run(
      HEARTBEAT,
      this.partition,
      [keys.layout, keys.nodes, keys.meta, keys.head(CONTROL_CHANNEL), keys.stream(CONTROL_CHANNEL)],
      [LAYOUT, this.node, nodeTtlMs, keys.partitions, epochs.next(), headMs],
      true,
    )) as readonly [string, string?, string?, number?, number?];
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
    this.events.onRank(Number(rank));
    this.events.onControlTip({ epoch, seq: Number(seq) }, askedAt);
    return undefined;
  }
}
